from __future__ import annotations

import hashlib
import json
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgebnn_convert import convert as convert_module
from edgebnn_convert.convert import convert
from edgebnn_convert.forcing import Forcing
from edgebnn_convert.quiet import Captured, captured_stderr
from edgebnn_convert.verify import verify

import edgebnn
from edgebnn import cli
from edgebnn.card import Card, Decode, Level, Preprocess, Training, read_card
from edgebnn.errors import ModelError, ParityError
from edgebnn.inspection.graph import Network, parse

Files = Callable[[str], Path]


def operators(network: Network) -> list[str]:
    return [operator.name for operator in network.main.operators]


@pytest.fixture(autouse=True)
def no_leftovers(tmp_path: Path) -> Any:
    yield
    assert not [path for path in tmp_path.rglob(".*") if path.name.startswith(".out.tflite")]


KINDS = {
    "residual": ["LceQuantize", "LceBconv2d"],
    "chain": ["LceBMaxPool2d"],
    "odd_channels": ["LceBconv2d"],
    "int8": ["QUANTIZE", "LceBconv2d", "DEQUANTIZE"],
    "flat": ["LceQuantize", "LceBconv2d", "RESHAPE"],
    "series": ["RESHAPE", "LceBconv2d"],
    "two_inputs": ["CONCATENATION", "LceBconv2d"],
    "sequential": ["LceBconv2d"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_networks_convert_and_agree(kind: str, converted: Files) -> None:
    """`convert` verifies: Keras = LCE = delegate."""
    content = converted(kind).read_bytes()
    assert set(KINDS[kind]) <= set(operators(parse(content)))
    card = read_card(content)
    assert card is not None and (card.name, card.task) == (kind, "tensors")
    digest = hashlib.sha256(converted(kind).with_suffix(".keras").read_bytes()).hexdigest()
    assert card.training.checkpoint_sha256 == digest
    assert {"tensorflow", "larq", "larq-compute-engine", "edgebnn"} <= card.training.versions.keys()


def test_twelve_blocks_raise_no_false_alarm(checkpoint: Files, tmp_path: Path, capsys: Any) -> None:
    source = checkpoint("deep")
    convert(source, tmp_path / "out.tflite", card=None)
    lines = capsys.readouterr().out.splitlines()
    keras = next(line for line in lines if line.startswith("Keras = LCE"))
    assert "39 places" in keras, "every operator has its layer"
    assert lines[-2] == "equal"


def test_outputs_keep_their_names(converted: Files, checkpoint: Files) -> None:
    """LCE changes their order; `Model` goes by the signature."""
    import tensorflow as tf

    model = edgebnn.Model(converted("residual"))
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    classes, boxes = tf.keras.models.load_model(checkpoint("residual"), compile=False)(x)
    results = dict(zip([port.name for port in model.outputs], model.run(x), strict=True))
    np.testing.assert_allclose(results["classes"], classes, atol=1e-3)
    np.testing.assert_allclose(results["boxes"], boxes, atol=1e-3)


def test_the_chain_stays_in_bits(converted: Files) -> None:
    assert operators(parse(converted("chain").read_bytes())).count("LceQuantize") == 1


def test_sttern_is_caught_and_nothing_is_written(checkpoint: Files, tmp_path: Path) -> None:
    """LCE compiles SteTern on activations to sign(x + 0.05), without a word."""
    output = tmp_path / "out.tflite"
    output.write_bytes(b"what was there before")
    with pytest.raises(ParityError, match=r"the first operator that differs is LceBconv2d \d") as raised:
        convert(checkpoint("ternary"), output, card=None, allow={"L15"})
    assert "the layer 'quant_conv2d_1' quantizes to 3 values (-1, 0, 1)" in str(raised.value)
    assert "% of the range" in str(raised.value)
    assert output.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [output]


def test_lint_errors_stop_it_unless_allowed(checkpoint: Files, tmp_path: Path, capsys: Any) -> None:
    output = tmp_path / "out.tflite"
    with pytest.raises(SystemExit) as ended:
        cli.main(["convert", str(checkpoint("ternary")), "-o", str(output)])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("edgebnn: lint: error L15: QuantConv2D 'quant_conv2d_1': its input_quantizer has")
    assert captured.err.endswith("--allow L15 converts it as it is\n") and captured.err.count("\n") == 1
    assert "lint: error L15" in captured.out and not output.exists()
    with pytest.raises(SystemExit) as ended:
        cli.main(["convert", str(checkpoint("ternary")), "-o", str(output), "--allow", "L1"])
    assert ended.value.code == 2
    assert "got L1" in capsys.readouterr().err


def test_warnings_are_printed(checkpoint: Files, tmp_path: Path, capsys: Any) -> None:
    convert(checkpoint("odd_channels"), tmp_path / "out.tflite", card=None)
    assert "lint: warning L07: LceBconv2d" in capsys.readouterr().out


def test_explain_says_what_will_be_binary(checkpoint: Files, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "digits-cnn", "--explain"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    operators = [line for line in lines if line.startswith(("1 bit ", "32 bits "))]
    binary = [line for line in operators if line.startswith("1 bit ")]
    assert 0 < len(binary) < len(operators)
    named = [line.split()[-1] for line in binary]
    assert named == ["block1_conv2", "block2_conv1", "block2_conv2", "dense1", "out"], "not after the next layer's sign"
    assert any(f"{len(binary)} of {len(operators)} operators with weights will be" in line for line in lines)


def test_a_shifted_sign_is_caught(checkpoint: Files, converted: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign at another threshold, of the same two values."""
    plain = Forcing.sign

    def shifted(self: Forcing, layer: str, quantizer: Any, inputs: Any) -> Any:
        return plain(self, layer, quantizer, inputs + 0.05 if layer == "quant_conv2d_1" else inputs)

    monkeypatch.setattr(Forcing, "sign", shifted)
    with pytest.raises(ParityError, match=r"of the layer 'quant_conv2d_1', LceQuantize \d+ .* signs differ"):
        verify(converted("residual"), checkpoint=checkpoint("residual"))


def test_another_checkpoint_is_caught(checkpoint: Files, converted: Files, tmp_path: Path) -> None:
    import tensorflow as tf

    model = tf.keras.models.load_model(checkpoint("chain"), compile=False)
    gamma = next(weight for weight in model.weights if "gamma" in weight.name)
    gamma.assign(gamma * 1.01)
    model.save(tmp_path / "other.keras")
    with pytest.raises(ParityError, match="the first operator that differs is CONV_2D 0"):
        verify(converted("chain"), checkpoint=tmp_path / "other.keras")
    with pytest.raises(ModelError, match=r"cannot be built|has an input"):
        verify(converted("chain"), checkpoint=checkpoint("series"))


def test_h5_and_saved_models(checkpoint: Files, tmp_path: Path) -> None:
    """All three forms compute the same; a SavedModel of Keras still has its layers traced."""
    import tensorflow as tf

    model = tf.keras.models.load_model(checkpoint("sequential"), compile=False)
    with captured_stderr():
        model.save(tmp_path / "net.h5")
        model.save(tmp_path / "net", save_format="tf")
    x = np.random.default_rng(0).normal(size=(1, 12, 12, 1)).astype(np.float32)
    for source in (tmp_path / "net.h5", tmp_path / "net"):
        convert(source, tmp_path / "out.tflite", card=None)
        found = edgebnn.Model(tmp_path / "out.tflite")
        assert found.card is not None and found.card.name == "net"
        np.testing.assert_allclose(found.run(x)[0], model(x), atol=1e-4)


def test_a_saved_model_without_keras(checkpoint: Files, tmp_path: Path, capsys: Any) -> None:
    import tensorflow as tf

    model = tf.keras.models.load_model(checkpoint("chain"), compile=False)

    def serve(image: Any) -> dict[str, Any]:
        return {"bits": model(image, training=False)}

    def save(folder: Path, shape: list[int | None]) -> None:
        module = tf.Module()
        module.kept = [getattr(variable, "latent_variable", variable) for variable in model.variables]
        module.serve = tf.function(serve, input_signature=[tf.TensorSpec(shape, name="image")])
        tf.saved_model.save(module, str(folder), signatures=module.serve)

    save(tmp_path / "fixed", [1, 16, 16, 3])
    convert(tmp_path / "fixed", tmp_path / "out.tflite", card=None)
    assert "holds no Keras layers: only its outputs were compared" in capsys.readouterr().out
    assert [*parse((tmp_path / "out.tflite").read_bytes()).entries()[1]] == ["bits"]


def test_an_operator_that_tflite_lacks(tmp_path: Path, checkpoint: Files) -> None:
    checkpoint("chain")
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": tf.linalg.inv(x)}, input_signature=[tf.TensorSpec([4, 4], name="x")])
    tf.saved_model.save(module, str(tmp_path / "inverse"), signatures=module.serve)
    with pytest.raises(ModelError, match="custom operator 'MatrixInverse'"):
        convert(tmp_path / "inverse", tmp_path / "out.tflite", card=None)


def detector_card(**changes: Any) -> Card:
    fields = {
        "name": "any",
        "task": "detect",
        "classes": ("face",),
        "preprocess": Preprocess(width=32, height=64),
        "decode": Decode(levels=(Level(output="map", stride=4, scale=1.0),)),
        "training": Training(recipe="r", checkpoint_sha256="0" * 64, versions={"numpy": "1"}),
    }
    return Card.model_validate(fields | changes)


@pytest.fixture(scope="module")
def any_size(checkpoint: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was trained on crops of 16 x 16."""
    checkpoint("chain")
    import tensorflow as tf

    from tests.converters.networks import binary, layers, settle, stem

    image, x = stem(32, 16)
    x = layers.AveragePooling2D(4)(binary(x))
    path = tmp_path_factory.mktemp("detector") / "best.keras"
    settle(tf.keras.Model(image, {"map": layers.Conv2D(5, 1, name="map")(x)})).save(path)
    path.with_name("card.json").write_text(detector_card().model_dump_json())
    return path


def test_a_detector_is_built_at_the_size_of_its_card(any_size: Path, tmp_path: Path, capsys: Any) -> None:
    convert(any_size, tmp_path / "out.tflite", card=None)
    assert "note: the card was written for another checkpoint" in capsys.readouterr().out
    model = edgebnn.Model(tmp_path / "out.tflite")
    assert model.inputs[0].shape == (1, 64, 32, 3)
    assert [(port.name, port.shape) for port in model.outputs] == [("map", (1, 16, 8, 5))]
    assert model.card is not None and model.card.training.recipe == "r"
    assert model.card.training.versions["numpy"] == "1"
    assert len(model.detect(np.zeros((50, 40, 3), np.uint8), min_score=0.01)) >= 0
    verify(tmp_path / "out.tflite", checkpoint=any_size)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"decode": Decode(levels=(Level(output="s8", stride=4, scale=1.0),))}, "an output 's8'"),
        ({"decode": Decode(levels=(Level(output="map", stride=8, scale=1.0),))}, "an output 'map'"),
    ],
)
def test_a_card_of_another_model_is_refused(any_size: Path, tmp_path: Path, changes: Any, reason: str) -> None:
    card = tmp_path / "card.json"
    card.write_text(detector_card(**changes).model_dump_json())
    with pytest.raises(ModelError, match=reason):
        convert(any_size, tmp_path / "out.tflite", card=card)
    assert not (tmp_path / "out.tflite").exists()


def test_an_open_shape_is_refused_and_cured_by_a_card(checkpoint: Files, tmp_path: Path) -> None:
    source = checkpoint("any_size")
    with pytest.raises(ModelError, match=r"the open shape .*: give --card"):
        convert(source, tmp_path / "out.tflite", card=None)
    card = tmp_path / "card.json"
    card.write_text(Card(name="a", task="tensors", preprocess=Preprocess(width=24, height=16)).model_dump_json())
    convert(source, tmp_path / "out.tflite", card=card)
    assert parse((tmp_path / "out.tflite").read_bytes()).main.tensors[0].shape == (1, 16, 24, 3)


def damaged(checkpoint: Files, folder: Path) -> dict[str, str]:
    """Names of broken checkpoints, with what the message must say."""
    whole = checkpoint("sequential").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    (folder / "flipped.keras").write_bytes(flipped)
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.h5").write_bytes(b"nothing")
    (folder / "text.txt").write_text("a")
    (folder / "empty").mkdir()
    (folder / "junk").mkdir()
    (folder / "junk" / "saved_model.pb").write_bytes(b"junk")
    import tensorflow as tf

    tf.keras.models.load_model(checkpoint("sequential"), compile=False).save_weights(folder / "weights.h5")
    return {
        "none.keras": "no such file",
        "flipped.keras": "cannot load the checkpoint",
        "cut.keras": "damaged, cut off, or no .keras file",
        "noise.h5": "damaged, cut off, or no .h5 file",
        "text.txt": "expected a .keras or .h5 file or a SavedModel folder",
        "empty": "holds no saved_model.pb",
        "junk": "cannot load the SavedModel",
        "weights.h5": "it holds weights only",
    }


def test_damaged_checkpoints_are_one_sentence(checkpoint: Files, tmp_path: Path, capfd: Any) -> None:
    for name, reason in damaged(checkpoint, tmp_path).items():
        with pytest.raises(SystemExit) as end:
            cli.main(["convert", str(tmp_path / name), "-o", str(tmp_path / "out.tflite")])
        captured = capfd.readouterr()
        assert (end.value.code, captured.err.count("\n")) == (1, 1), captured.err
        assert reason in captured.err
        assert not (tmp_path / "out.tflite").exists()


def test_keras_3_and_half_precision_are_refused(checkpoint: Files, tmp_path: Path) -> None:
    checkpoint("chain")
    import tensorflow as tf

    with zipfile.ZipFile(tmp_path / "new.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
    with pytest.raises(ModelError, match=r"saved by Keras 3\.15\.1: Larq needs Keras 2"):
        convert(tmp_path / "new.keras", tmp_path / "out.tflite", card=None)
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,), dtype="mixed_float16", name="half")])
    model.save(tmp_path / "half.keras")
    with pytest.raises(ModelError, match="the layer 'half' computes in float16"):
        convert(tmp_path / "half.keras", tmp_path / "out.tflite", card=None)


def test_the_command_keeps_stderr_clean(any_size: Path, tmp_path: Path, capfd: Any) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["convert", str(any_size), "-o", str(tmp_path / "out.tflite")])
    captured = capfd.readouterr()
    assert (end.value.code, captured.err) == (0, "")
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", str(tmp_path / "out.tflite")])
    captured = capfd.readouterr()
    assert (end.value.code, captured.err) == (0, "")
    assert "Keras" not in captured.out and captured.out.endswith("equal\n")


def test_a_bad_card_names_its_file(checkpoint: Files, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps({"name": "a"}))
    with pytest.raises(ModelError, match=r"card\.json: the card is malformed: task"):
        convert(checkpoint("chain"), tmp_path / "out.tflite", card=tmp_path / "card.json")
    with pytest.raises(ModelError, match="cannot read the card"):
        convert(checkpoint("chain"), tmp_path / "out.tflite", card=tmp_path / "none.json")


def test_a_missing_folder_is_found_at_once(checkpoint: Files, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        convert(checkpoint("chain"), tmp_path / "no" / "out.tflite", card=None)


def test_a_killed_conversion_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the worst moment: everything is written but not yet in place."""
    output = tmp_path / "model.tflite"
    output.write_bytes(b"old")
    child = os.fork()
    if child == 0:
        convert_module.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        convert_module._write(output, b"new" * 100_000)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert output.read_bytes() == b"old"
    convert_module._write(output, b"new")
    assert output.read_bytes() == b"new"
    assert output.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert_module.os, "fsync", full)
    with pytest.raises(ModelError, match="No space left on device"):
        convert_module._write(tmp_path / "out.tflite", b"new")
    assert list(tmp_path.iterdir()) == []


def test_diagnostics() -> None:
    captured = Captured('loc("a"("b")): error: bad op\nother\n<unknown>:0: error: bad op\nx: warning: slow\n')
    assert captured.diagnostics() == ["bad op", "slow"]
    with captured_stderr() as captured:
        os.write(2, b"from C: warning: careful\n")
    assert captured.diagnostics() == ["careful"]
