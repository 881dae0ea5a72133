from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.data.crops import Crops, Cutter, Sides
from edgebnn.data.pictures import Pictures
from edgebnn.data.pipeline import Shape, batches, make_batch, shape_at
from edgebnn.data.targets import Range
from tests.edgebnn.data.test_crops import make

RANGES = [Range(8, 0, 30), Range(16, 24, 72), Range(32, 56, 10_000)]
SHAPES = (Shape(64, range(4), Sides()), Shape(96, range(2), Sides(smallest=40, largest=90)))


@pytest.fixture
def source(tmp_path: Path) -> Cutter:
    return Cutter(Pictures([make(tmp_path, [[60, 40, 48, 60]]), make(tmp_path, [], name="b")], cache_mb=10), Crops())


def test_every_nth_step_is_large() -> None:
    assert [shape_at(step, SHAPES, 3).side for step in range(7)] == [64, 64, 96, 64, 64, 96, 64]
    assert {shape_at(step, SHAPES, 0).side for step in range(7)} == {64}


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_a_function_of_seed_and_step(source: Cutter, workers: int) -> None:
    def run(start: int, stop: int, seed: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
        data = batches(source, RANGES, SHAPES, every=3, seed=seed, start=start, stop=stop, workers=workers)
        return [(images.numpy(), targets.numpy()) for images, targets in data]

    whole = run(0, 10)
    assert [len(images) for images, _ in whole] == [4, 4, 2, 4, 4, 2, 4, 4, 2, 4]
    for step, (images, targets) in enumerate(whole):
        expected = make_batch(source, RANGES, shape_at(step, SHAPES, 3), seed=5, step=step)
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_array_equal(targets, expected[1])
    for one, other in zip(run(6, 10), whole[6:], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert (run(0, 1, seed=6)[0][0] != whole[0][0]).any()
    assert (whole[0][0] != whole[1][0]).any()
