from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.errors import ConfigError
from edgebnn.training.recipe import RECIPES, read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("smoke", [False, True])
def test_packaged_recipes_are_valid(name: str, smoke: bool) -> None:
    assert read_recipe(name, smoke=smoke).name == name


def test_face_is_packaged() -> None:
    assert "face" in recipe_names()


def write(folder: Path, text: str) -> str:
    (folder / "mine.toml").write_text(text)
    return str(folder / "mine.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"\nepochs = 3', ["mine.toml", "epochs", "3"]),
        ('name = "a"\n[schedule]\nepoch = 3', ["mine.toml", "schedule.epoch", "3"]),
        ('name = "a"\n[schedule]\nepochs = 0', ["mine.toml", "schedule.epochs", "0"]),
        ('name = "a"\n[model]\nchannels = [64, 100, 128]', ["mine.toml", "model.channels.1", "100"]),
        ('name = "a"\n[model]\nname = "quicknet"', ["mine.toml", "model.name", "quicknet"]),
        ('name = "a"\n[batches]\nside = 100', ["mine.toml", "batches.side", "100"]),
        ('name = "a"\n[crops]\nflip = 1.5', ["mine.toml", "crops.flip", "1.5"]),
        ('name = "a"\n[smoke.schedule]\nstepps = 2', ["mine.toml", "schedule.stepps", "2"]),
        ('name = "a"\nsmoke = 3', ["mine.toml", "smoke", "3"]),
        ('name = "a"\n[targets]\ns8 = [30, 20]', ["mine.toml", "targets.s8", "smaller one first"]),
        ('name = "a"\n[batches]\nsides = { smallest = 9, largest = 5 }', ["mine.toml", "batches.sides", "above"]),
        ('name = "a"\n[optimizer]\nrate = inf', ["mine.toml", "optimizer.rate", "inf"]),
        ('name = "a"\n[optimizer]\nrate = nan', ["mine.toml", "optimizer.rate", "nan"]),
        ("[schedule]\nepochs = 1", ["mine.toml", "name", "missing"]),
        ('task = ["classify"]\nname = "a"', ["mine.toml", "task", "'classify'"]),
        (
            'name = "a"\n[optimizer]\nrestarts = [{ epoch = 9, rate = 1e-3 }, { epoch = 9, rate = 1e-3 }]',
            ["mine.toml", "optimizer.restarts", "in the order of their epochs"],
        ),
        ('name = "a"\n[schedule]\nseed = 4294967296', ["mine.toml", "schedule.seed", "4294967296"]),
        ('name = "a"\n[teacher]\nepochs = 0', ["mine.toml", "teacher.epochs", "0"]),
        ('name = "a"\n[teacher]\nepochs = 1\n[model]\nbinary = false', ["mine.toml", "float twin", "leave one out"]),
        ('name = "a/b"', ["mine.toml", "name", "a/b"]),
    ],
)
def test_mistakes_name_file_key_and_value(tmp_path: Path, text: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        read_recipe(write(tmp_path, text))
    assert all(part in str(error.value) for part in said), error.value


def test_smoke_replaces_only_what_it_names(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n[schedule]\nepochs = 7\nsteps = 9\n[smoke.schedule]\nsteps = 2')
    assert read_recipe(path).schedule.steps == 9
    smoke = read_recipe(path, smoke=True)
    assert (smoke.schedule.epochs, smoke.schedule.steps) == (7, 2)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="face"):
        read_recipe("fase")
    with pytest.raises(ConfigError, match=r"fase\.toml"):
        read_recipe("fase.toml")


def test_no_recipe_names_a_data_path() -> None:
    fields = {name for schema in RECIPES.values() for name in schema.model_fields}
    assert not {name for name in fields if "data" in name or "path" in name}


def test_the_teacher_is_the_float_twin_with_a_length_of_its_own(tmp_path: Path) -> None:
    text = 'name = "a"\n[optimizer]\ndecay_epochs = 9\n[schedule]\nepochs = 20\n'
    alone, taught = (
        read_recipe(write(tmp_path, text + more)) for more in ("", "[teacher]\nepochs = 5\ndecay_epochs = 2")
    )
    assert alone.float_twin() is None
    twin = taught.float_twin()
    assert twin.name == "a-float" and twin.float_twin() is None and taught.model.binary and not twin.model.binary
    assert (twin.schedule.epochs, twin.optimizer.decay_epochs) == (5, 2)
    ours, theirs = taught.identity(), twin.identity()
    assert {key for key in ours if ours[key] != theirs.get(key)} == {"name", "model", "teacher"}
    assert "teacher" not in theirs, "runs from before there were teachers can go on"


def test_what_a_run_may_change_when_it_goes_on(tmp_path: Path) -> None:
    plain = read_recipe(write(tmp_path, 'name = "a"')).identity()
    optimizer = "[optimizer]\ndecay_epochs = 3\nrestarts = [{ epoch = 9, rate = 1e-3 }]"
    longer = read_recipe(write(tmp_path, f'name = "a"\n{optimizer}\n[schedule]\nepochs = 12'))
    assert longer.identity() == plain
    turning = read_recipe(write(tmp_path, 'name = "a"\n[export]\nturns = true')).identity()
    assert turning["export"].pop("turns") is True and turning == plain, "runs from before inputs turned can go on"


def test_a_teacher_of_another_length_is_told_by_its_weights_alone(tmp_path: Path) -> None:
    """As data are: its run may go on, and the network that learns from it would be another."""
    shorter, longer = (
        read_recipe(write(tmp_path, f'name = "a"\n[teacher]\nepochs = {epochs}')).identity() for epochs in (5, 6)
    )
    assert shorter == longer
