from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps.edgebnn_alarm.machine import Machine
from tests.apps.edgebnn_alarm.night import memory_folder


@pytest.fixture
def machine() -> Iterator[Machine]:
    with memory_folder() as folder:
        made = Machine(folder)
        yield made
        made.faults.kill()
