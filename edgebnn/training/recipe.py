"""What a training run does, as a TOML file: `edgebnn train face` reads the packaged recipes/face.toml."""

from __future__ import annotations

from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from edgebnn.config import check_config, read_toml
from edgebnn.data.crops import Crops, Sides
from edgebnn.errors import ConfigError
from edgebnn.models import FaceNetwork
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.schema import AverageSteps, Name, OwnData, Schedule, Strict
from edgebnn.training.sleep_recipe import SleepRecipe

Side = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] < limits[1]:
        raise ValueError("expected two sizes from 0 up, the smaller one first")
    return limits


class Batches(Strict):
    """Crops per step; every `large_every`-th step uses fewer, larger crops, for large faces."""

    side: Side = 128
    size: Annotated[int, Field(ge=1, le=4096)] = 32
    sides: Sides = Sides(smallest=9, largest=120)
    large_every: Annotated[int, Field(ge=0, description="0: no large crops")] = 0
    large_side: Side = 256
    large_size: Annotated[int, Field(ge=1, le=4096)] = 8
    large_sides: Sides = Sides(smallest=60, largest=240)
    workers: Annotated[int, Field(ge=1, le=64, description="threads that cut crops")] = 2
    longest_side: Annotated[int, Field(ge=64, description="larger training pictures are shrunk, pixels")] = 640
    cache_mb: Annotated[int, Field(ge=0, description="decoded pictures kept in memory")] = 4000


Limits = Annotated[tuple[float, float], pydantic.AfterValidator(_ascending)]


class Targets(Strict):
    """Which faces each level learns, by longer side in input pixels (at least, below)."""

    s8: Limits = (0, 30)
    s16: Limits = (24, 72)
    s32: Limits = (56, 10_000)


class Loss(Strict):
    """See edgebnn.training.losses.detection_loss."""

    score_weight: Annotated[float, Field(gt=0)] = 2.0
    floor: Annotated[float, Field(ge=0, le=1, description="least score target of a positive cell")] = 0.3


class Restart(Strict):
    """From `epoch` on, a cosine from `rate` anew (Loshchilov & Hutter 2017)."""

    epoch: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0)]


def _one_by_one(restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
    if any(one.epoch >= other.epoch for one, other in pairwise(restarts)):
        raise ValueError("expected restarts in the order of their epochs")
    return restarts


class Optimizer(Strict):
    """Adam with a linear warm-up and a cosine to `final_rate` at the last step, or at the next restart."""

    rate: Annotated[float, Field(gt=0)] = 1e-2
    final_rate: Annotated[float, Field(ge=0)] = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 150
    decay_epochs: Annotated[
        int | None,
        Field(ge=1, description="the cosine's length at the end, before a first restart; all of it when absent"),
    ] = None
    restarts: Annotated[tuple[Restart, ...], pydantic.AfterValidator(_one_by_one)] = ()
    average_steps: AverageSteps = None
    bfloat16: Annotated[bool, Field(description="convolutions in bfloat16; weights and sums stay float32")] = False
    clipnorm: Annotated[float, Field(gt=0)] = 10.0


class Teacher(Strict):
    """The float twin is trained first; the binary network starts from its weights and learns its answers too.

    Its run is the recipe's own but for its length. Loss: (1 - share) * that of the labels + share * that of the
    teacher's answers, see edgebnn.training.losses.teacher_loss.
    """

    epochs: Annotated[int, Field(ge=1)]
    decay_epochs: Annotated[int | None, Field(ge=1, description="as in [optimizer]")] = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    score_weight: Annotated[float, Field(gt=0)] = 4.0


class Export(Strict):
    """Input of the checkpoint, used for validation too, and decoding defaults of its card."""

    width: Side = 320
    height: Side = 320
    turns: Annotated[
        bool, Field(description="width and height change places for pictures of the other orientation")
    ] = False
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    nms_iou: Annotated[float, Field(gt=0, lt=1)] = 0.45
    least_px: Annotated[Literal[12, 24, 48], Field(description="least face of the AP50 that picks the best epoch")] = 24


class DetectionRecipe(Strict):
    """An anchor-free face detector."""

    task: Literal["detect"] = "detect"
    name: Name
    licence: str = ""
    model: FaceNetwork = FaceNetwork()
    batches: Batches = Batches()
    crops: Crops = Crops()
    targets: Targets = Targets()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    teacher: Teacher | None = None
    schedule: Schedule = Schedule()
    export: Export = Export()

    own_data: ClassVar[OwnData] = "never"

    @pydantic.model_validator(mode="after")
    def _has_a_twin(self) -> DetectionRecipe:
        if self.teacher and not self.model.binary:
            raise ValueError("[teacher] is the float twin of a binary network, and model.binary = false: leave one out")
        return self

    def float_twin(self) -> DetectionRecipe | None:
        """The recipe of the teacher, if there is one."""
        if self.teacher is None:
            return None
        return self.model_copy(
            update={
                "name": f"{self.name}-float"[-80:],
                "model": self.model.model_copy(update={"binary": False}),
                "optimizer": self.optimizer.model_copy(
                    update={"decay_epochs": self.teacher.decay_epochs, "restarts": ()}
                ),
                "schedule": self.schedule.model_copy(update={"epochs": self.teacher.epochs}),
                "teacher": None,
            }
        )

    def identity(self) -> dict[str, Any]:
        """What must not change between the parts of a run: all but its length, its averaging and its speed."""
        out = self.model_dump(mode="json")
        for free in ("decay_epochs", "restarts", "average_steps"):
            del out["optimizer"][free]
        del out["schedule"]["epochs"]
        del out["batches"]["workers"], out["batches"]["cache_mb"]
        if not self.export.turns:  # as in runs from before there were inputs that turn, or teachers
            del out["export"]["turns"]
        if self.teacher is None:
            del out["teacher"]
        else:  # its weights are told apart, as data are
            del out["teacher"]["epochs"], out["teacher"]["decay_epochs"]
        return out


Recipe = DetectionRecipe | ClassificationRecipe | SleepRecipe
RECIPES: dict[str, type[DetectionRecipe] | type[ClassificationRecipe] | type[SleepRecipe]] = {
    "detect": DetectionRecipe,
    "classify": ClassificationRecipe,
    "sleep": SleepRecipe,
}


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    folder = files("edgebnn.training") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(name: str, *, smoke: bool = False) -> Recipe:
    """The recipe of a packaged name or a file's path; with `smoke`, its [smoke] table's values replace others."""
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        raw, shown = read_toml(path), path
    elif name in recipe_names():
        with as_file(files("edgebnn.training") / "recipes" / f"{name}.toml") as packaged:
            raw, shown = read_toml(packaged), Path(f"{name}.toml")
    else:
        raise ConfigError(f"there is no recipe {name!r}: expected one of {', '.join(recipe_names())}, or a .toml file")
    overrides = raw.pop("smoke", {})
    if not isinstance(overrides, dict):
        raise ConfigError(f"{shown}: smoke = {overrides!r}: expected a table of values that --smoke replaces")
    task = raw.get("task", "detect")
    if not isinstance(task, str) or task not in RECIPES:
        raise ConfigError(f"{shown}: task = {task!r}: expected {' or '.join(map(repr, RECIPES))}")
    check_config(_merged(raw, overrides), RECIPES[task], file=shown)  # a mistake in [smoke] shows in a full run too
    return check_config(_merged(raw, overrides) if smoke else raw, RECIPES[task], file=shown)


def _merged(raw: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(raw)
    for key, value in over.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out
