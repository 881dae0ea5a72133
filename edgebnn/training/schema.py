"""What the recipes of every task share."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

OwnData = Literal["never", "unless given", "always"]
"""When a recipe makes or brings the data that it learns from."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
AverageSteps = Annotated[
    int | None, Field(ge=2, description="steps over which weights are averaged for validation and best.keras")
]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")]


class Strict(pydantic.BaseModel):
    """A table of a recipe: unknown keys are errors, numbers are finite."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Schedule(Strict):
    """Length of the run."""

    epochs: Annotated[int, Field(ge=1)] = 30
    steps: Annotated[int, Field(ge=1, description="steps per epoch")] = 400
    seed: Seed = 0
