"""Recipes of task "classify": pictures to one of several classes, as Courbariaux et al. 2016 train."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from edgebnn.models import BinaryNet, QuickNet
from edgebnn.training.schema import AverageSteps, Name, OwnData, Seed, Strict

Pixels = Annotated[int, Field(ge=1, le=4096)]


class Input(Strict):
    """Pictures, their size and scaling: the network sees (pixel - mean) / std."""

    source: Annotated[
        Literal["digits", "folders"],
        Field(description="digits: the 8x8 digits inside scikit-learn; folders: --data DIR with a folder per class"),
    ] = "folders"
    width: Pixels = 32
    height: Pixels = 32
    channels: Literal[1, 3] = 3
    pad: Annotated[int, Field(ge=0, le=255, description="grey value around pictures of another shape")] = 114
    mean: float = 127.5
    std: Annotated[float, Field(gt=0)] = 127.5
    memory_mb: Annotated[int, Field(ge=1, description="most that the pictures may take at the network's size")] = 4000

    @pydantic.model_validator(mode="after")
    def _digits_are_small(self) -> Input:
        if self.source == "digits" and (self.width, self.height, self.channels) != (8, 8, 1):
            raise ValueError("the digits are 8 x 8 pixels of 1 channel: say width = 8, height = 8, channels = 1")
        return self


class Augmentation(Strict):
    """Changes of the training pictures."""

    shift: Annotated[int, Field(ge=0, le=64, description="pixels to any side, the border repeated")] = 0
    flip: Annotated[bool, Field(description="half of the pictures mirrored")] = False


class Loss(Strict):
    """Squared hinge on targets of +-1, or softmax cross entropy."""

    kind: Literal["squared-hinge", "cross-entropy"] = "squared-hinge"


class Optimizer(Strict):
    """The rate falls from `rate` to `final_rate` by the same factor every epoch."""

    kind: Literal["adam", "shift-adamax"] = "adam"
    rate: Annotated[float, Field(gt=0)] = 3e-3
    final_rate: Annotated[float, Field(gt=0)] = 3e-5
    average_steps: AverageSteps = None
    glorot: Annotated[bool, Field(description="binary kernels learn at rate * sqrt((fan in + fan out) / 1.5)")] = True


class Schedule(Strict):
    """Length of the run; an epoch takes every picture once, but for what does not fill a batch."""

    epochs: Annotated[int, Field(ge=1)] = 100
    batch: Annotated[int, Field(ge=1, le=65536)] = 100
    steps: Annotated[int | None, Field(ge=1, description="steps per epoch, instead of all pictures")] = None
    seed: Seed = 0


class ClassificationRecipe(Strict):
    """See the module's docstring."""

    task: Literal["classify"]
    name: Name
    licence: str = ""
    input: Input = Input()
    model: Annotated[BinaryNet | QuickNet, Field(discriminator="name")]
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()

    @property
    def own_data(self) -> OwnData:
        """Some sources of pictures come with a package."""
        return "never" if self.input.source == "folders" else "always"

    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of a run: all but its length, its averaging and its memory."""
        out = self.model_dump(mode="json")
        del out["schedule"]["epochs"], out["optimizer"]["average_steps"], out["input"]["memory_mb"]
        return out
