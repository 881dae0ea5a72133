"""Recipes of task "sleep": nights of activity to wake, restlessness and stages."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from edgebnn.models.sleep import SleepNetwork
from edgebnn.training.schema import AverageSteps, Name, OwnData, Schedule, Strict


class Nights(Strict):
    """Simulated nights, which are learnt unless --data gives people's."""

    train: Annotated[int, Field(ge=2, le=100_000)] = 1500
    val: Annotated[int, Field(ge=3, le=10_000)] = 100


class Batches(Strict):
    """Pieces of nights per step."""

    size: Annotated[int, Field(ge=1, le=4096)] = 16
    answers: Annotated[int, Field(ge=1, le=2880, description="epochs of 30 s of each piece that are answered")] = 384


class Loss(Strict):
    """Weights of the cross entropies beside that of wake, which has 1."""

    restless: Annotated[float, Field(ge=0)] = 0.3
    stages: Annotated[float, Field(ge=0)] = 0.3


class Optimizer(Strict):
    """Adam with a linear warm-up and a cosine to `final_rate` at the last step."""

    rate: Annotated[float, Field(gt=0)] = 5e-3
    final_rate: Annotated[float, Field(ge=0)] = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    average_steps: AverageSteps = 400


class SleepRecipe(Strict):
    """See the module's docstring."""

    task: Literal["sleep"]
    name: Name
    licence: str = ""
    model: SleepNetwork = SleepNetwork()
    nights: Nights = Nights()
    batches: Batches = Batches()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()

    own_data: ClassVar[OwnData] = "unless given"

    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of a run: all but its length and its averaging."""
        out = self.model_dump(mode="json")
        del out["schedule"]["epochs"], out["optimizer"]["average_steps"]
        return out
