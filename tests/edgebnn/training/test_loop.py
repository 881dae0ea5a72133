from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.errors import DataError
from edgebnn.training.checkpoints import State
from edgebnn.training.detection import Detection
from edgebnn.training.loop import Loop
from edgebnn.training.provenance import crops_seen
from edgebnn.training.recipe import DetectionRecipe


def recipe(**parts: object) -> DetectionRecipe:
    return DetectionRecipe.model_validate({"name": "a"} | parts)


def test_learning_rate_warms_up_and_ends_low() -> None:
    how = recipe(optimizer={"rate": 0.01, "final_rate": 1e-4, "warmup_steps": 10}, schedule={"epochs": 11, "steps": 10})
    rates = [Detection.rate(SimpleNamespace(recipe=how), step) for step in range(111)]
    np.testing.assert_allclose(rates[:11], [*np.arange(1, 11) / 1000, 0.01])
    assert rates[60] == pytest.approx((0.01 + 1e-4) / 2)
    assert rates[110] == pytest.approx(1e-4)
    assert (np.diff(rates[10:]) < 0).all()


def test_learning_rate_stays_until_its_decay() -> None:
    how = recipe(
        optimizer={"rate": 0.01, "final_rate": 1e-4, "warmup_steps": 5, "decay_epochs": 2},
        schedule={"epochs": 6, "steps": 10},
    )
    rates = [Detection.rate(SimpleNamespace(recipe=how), step) for step in range(61)]
    np.testing.assert_allclose(rates[4:41], 0.01)
    assert rates[50] == pytest.approx((0.01 + 1e-4) / 2)
    assert rates[60] == pytest.approx(1e-4)
    assert (np.diff(rates[40:]) < 0).all()


def test_a_run_shorter_than_its_decay_is_all_decay() -> None:
    plan = {"schedule": {"epochs": 3, "steps": 10}}
    fields = {"rate": 0.01, "final_rate": 1e-4, "warmup_steps": 5}
    longer, none = (recipe(optimizer=fields | more, **plan) for more in ({"decay_epochs": 84}, {}))
    rates = [[Detection.rate(SimpleNamespace(recipe=how), step) for step in range(31)] for how in (longer, none)]
    assert rates[0] == rates[1] and rates[0][5] == pytest.approx(0.01)


def test_learning_rate_restarts() -> None:
    optimizer = {"rate": 0.01, "final_rate": 1e-4, "warmup_steps": 5, "decay_epochs": 2}
    plan = {"epochs": 10, "steps": 10}
    restarts = [{"epoch": 4, "rate": 0.006}, {"epoch": 7, "rate": 0.002}]

    def rates(epochs: int, **more: object) -> list[float]:
        how = recipe(optimizer=optimizer | more, schedule=plan | {"epochs": epochs})
        return [Detection.rate(SimpleNamespace(recipe=how), step) for step in range(10 * epochs)]

    got = rates(10, restarts=restarts)
    np.testing.assert_array_equal(got[:40], rates(4), "up to the first restart as a run that ends there")
    for begin, end, rate in ((40, 70, 0.006), (70, 100, 0.002)):
        share = np.arange(end - begin) / (end - begin)
        np.testing.assert_allclose(got[begin:end], 1e-4 + (rate - 1e-4) * (1 + np.cos(np.pi * share)) / 2)
    for epochs in (3, 4):
        np.testing.assert_array_equal(
            rates(epochs, restarts=restarts), rates(epochs), "what is not reached is no restart"
        )
    np.testing.assert_array_equal(rates(6, restarts=restarts), rates(6, restarts=restarts[:1]))


@pytest.mark.parametrize("every", [0, 1, 3])
def test_crops_are_counted(every: int) -> None:
    how = recipe(batches={"size": 5, "large_size": 2, "large_every": every})
    for steps in range(8):
        assert crops_seen(how, steps) == sum(2 if every and step % every == every - 1 else 5 for step in range(steps))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_no_number_ends_the_run(bad: float) -> None:
    losses = SimpleNamespace(numpy=lambda: np.array([bad, 1, 1]))
    rate = SimpleNamespace(assign=lambda _: None)
    task = SimpleNamespace(
        optimizer=SimpleNamespace(learning_rate=rate), rate=lambda _: 0.1, step=lambda *_: losses, losses=("loss",) * 3
    )
    with pytest.raises(DataError, match=r"step 7.*optimizer\.rate"):
        Loop._take_step(SimpleNamespace(task=task), State(step=7), ())
