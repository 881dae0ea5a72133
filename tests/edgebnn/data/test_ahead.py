from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from edgebnn.data.ahead import made_ahead


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_in_order(threads: int, count: int) -> None:
    assert list(made_ahead(lambda step: step * step, range(5, 5 + count), threads=threads)) == [
        step * step for step in range(5, 5 + count)
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_further_ahead_than_said(threads: int) -> None:
    asked: list[int] = []
    begun = threading.Semaphore(0)

    def make(step: int) -> int:
        begun.release()
        return step

    def steps() -> Iterator[int]:
        for step in itertools.count():
            asked.append(step)
            yield step

    batches = made_ahead(make, steps(), threads=threads)
    assert next(batches) == 0
    for _ in range(2 * threads + 1):
        assert begun.acquire(timeout=60), "what was asked for is made without waiting"
    assert len(asked) == 2 * threads + 1
    batches.close()


def test_an_error_comes_with_its_step() -> None:
    def make(step: int) -> int:
        if step == 3:
            raise ValueError("no picture")
        return step

    batches = made_ahead(make, range(9))
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no picture"):
        next(batches)
