from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgebnn_convert.embed import embed_card

from edgebnn import Model
from edgebnn.card import Decode, Level, Preprocess
from edgebnn.errors import InputError, ModelError
from edgebnn.runtime.model import packaged_models
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph
from tests.edgebnn import small_networks

X, Y = np.arange(4, dtype=np.float32).reshape(1, 4), np.ones((2, 3), np.float32)


@pytest.fixture
def doubler(tmp_path: Path) -> Model:
    path = tmp_path / "doubler.tflite"
    path.write_bytes(small_networks.doubler())
    return Model(path)


def load(tmp_path: Path, content: bytes) -> Model:
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    return Model(path)


def test_run_follows_the_signature_not_the_graph(doubler: Model) -> None:
    assert [port.name for port in doubler.inputs] == ["x", "y"]
    assert [port.name for port in doubler.outputs] == ["a", "b"]
    assert math.isnan(doubler.latency_ms)
    a, b = doubler.run(X, Y)
    np.testing.assert_array_equal(a, 2 * Y)
    np.testing.assert_array_equal(b, 2 * X)
    assert doubler.latency_ms > 0


@pytest.mark.parametrize("options", [{}, {"num_threads": 2}, {"kernel": "reference"}])
def test_lce_ops(tmp_path: Path, options: dict[str, Any]) -> None:
    """The signs of the input, and a binary 1x1 convolution that sums them."""
    graph, rng = Graph(), np.random.default_rng(4)
    signs = graph.quantize(graph.input((1, 3, 5, 40)))
    one = np.ones(1, np.float32)
    total = graph.bconv(signs, np.zeros((1, 1, 1, 40), np.bool_), multiplier=one, bias=0 * one)
    graph.output(graph.dequantize(signs), total)
    path = tmp_path / "signs.tflite"
    path.write_bytes(to_bytes(graph))
    x = rng.normal(size=(1, 3, 5, 40)).astype(np.float32)
    found, summed = Model(path, **options).run(x)
    expected = np.where(x < 0, -1, 1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(summed, expected.sum(axis=-1, keepdims=True))


def test_delegate_options_are_checked(detector_file: Path) -> None:
    with pytest.raises(InputError, match="kernel"):
        Model(detector_file, kernel="no such kernel")


def test_outputs_are_the_callers_own(doubler: Model) -> None:
    first = doubler.run(X, Y)
    first[0][:] = 99
    second = doubler.run(X, 5 * Y)
    assert (first[0] == 99).all() and (second[0] == 10).all() and first[1].flags.writeable


def test_inputs_may_be_views(doubler: Model) -> None:
    _, b = doubler.run(X[:, ::-1], Y.T.copy().T)
    np.testing.assert_array_equal(b, 2 * X[:, ::-1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((X,), r"expected 2 arrays .*got 1"),
        ((X, Y, Y), r"expected 2 arrays .*got 3"),
        ((X[0], Y), r"expected float32 \(1, 4\) for input 'x', got float32 \(4,\)"),
        ((X, Y.astype(np.float64)), r"expected float32 \(2, 3\) for input 'y', got float64 \(2, 3\)"),
        ((X.tolist(), Y), r"expected float32 \(1, 4\) for input 'x', got a list"),
        ((X.astype(">f4"), Y), r"expected float32 \(1, 4\) for input 'x', got >f4 \(1, 4\)"),
    ],
)
def test_arrays_must_fit_exactly(doubler: Model, arrays: tuple[np.ndarray, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        doubler.run(*arrays)
    assert isinstance(caught.value, ValueError)


def test_a_model_without_a_card_runs_but_does_not_detect(doubler: Model) -> None:
    assert doubler.card is None
    with pytest.raises(ModelError, match="no card"):
        doubler.detect(np.zeros((8, 8, 3), np.uint8))


def test_a_card_of_tensors_does_not_detect(tmp_path: Path) -> None:
    card = small_networks.detector_card(task="tensors", classes=(), preprocess=None, decode=None)
    model = load(tmp_path, embed_card(small_networks.doubler(), card))
    assert model.card is not None and model.card.name == "squares"
    with pytest.raises(ModelError, match="'tensors'"):
        model.detect(np.zeros((8, 8, 3), np.uint8))


def test_detect_finds_the_square(detector_file: Path, square: np.ndarray) -> None:
    model = Model(str(detector_file))
    found = model.detect(square)
    assert len(found) >= 1 and found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.boxes.dtype == found.scores.dtype == np.float32 and found.classes.tolist() == [0] * len(found)
    centres = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    assert ((centres > (40, 16)) & (centres < (104, 80))).all()
    assert set(model.stage_ms) == {"preprocess", "inference", "decode"} and min(model.stage_ms.values()) >= 0
    assert len(model.detect(square, min_score=1e-6)) > len(found)
    assert len(model.detect(np.zeros_like(square))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (64, 64), (3000, 4000)])
def test_boxes_lie_in_the_picture(detector_file: Path, shape: tuple[int, int]) -> None:
    found = Model(detector_file).detect(np.full((*shape, 3), 250, np.uint8), min_score=1e-3)
    x, y, w, h = found.boxes.astype(np.float64).T
    assert len(found) and (x >= 0).all() and (y >= 0).all()
    assert (x + w <= shape[1]).all() and (y + h <= shape[0]).all()


def test_quantised_inputs(tmp_path: Path, detector_file: Path, square: np.ndarray) -> None:
    real = Model(detector_file).detect(square)
    found = load(tmp_path, small_networks.detector(dtype="int8")).detect(square)
    np.testing.assert_allclose(found.boxes, real.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, real.scores, atol=0.01)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_frame(detector_file: Path, frame: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected a non-empty RGB frame"):
        Model(detector_file).detect(frame)


@pytest.mark.parametrize("score", [0, 1, -1, 2, math.nan])
def test_scores_out_of_range(detector_file: Path, square: np.ndarray, score: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Model(detector_file).detect(square, min_score=score)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            {"decode": Decode(levels=(Level(output="huge", stride=8, scale=1),))},
            r"output 'huge' of \(1, 8, 8, 5\), the model has large: float32 \(1, 4, 4, 5\), small",
        ),
        ({"decode": Decode(levels=(Level(output="large", stride=8, scale=1),))}, r"output 'large' of \(1, 8, 8, 5\)"),
        ({"preprocess": Preprocess(width=64, height=32)}, r"one input \(1, 32, 64, 3\), the model has picture"),
    ],
)
def test_a_card_that_does_not_fit_the_graph(tmp_path: Path, card: dict[str, object], message: str) -> None:
    content = embed_card(small_networks.bare_detector(), small_networks.detector_card(**card))
    with pytest.raises(ModelError, match=message):
        load(tmp_path, content)


def test_maps_of_another_depth(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\(1, 8, 8, 6\)"):
        load(tmp_path, small_networks.detector(channels=6))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(small_networks.detector())
    content[-40] ^= 1
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path, bytes(content))


def test_a_file_that_only_looks_like_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load(tmp_path, b"\x18\0\0\0TFL3" + bytes(200))
    with pytest.raises(ModelError, match="TFL3"):
        load(tmp_path, b"hello")


def test_no_such_model() -> None:
    with pytest.raises(ModelError, match=r"name of a packaged model"):
        Model("no-such-model")
    with pytest.raises(ModelError, match=r"cannot read the model"):
        Model(Path("/nowhere/face.tflite"))
    with pytest.raises(ModelError):
        Model("a\0b")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="directory"):
        Model(tmp_path)


@pytest.mark.parametrize("name", packaged_models())
def test_packaged_models_load(name: str) -> None:
    model = Model(name)
    assert model.card is not None and model.card.name == name
    outputs = model.run(*(np.zeros(port.shape, port.dtype) for port in model.inputs))
    assert all(np.isfinite(output).all() for output in outputs)
    if model.card.task == "detect":
        for shape in ((50, 60, 3), (60, 50, 3), (50, 50, 3)):
            model.detect(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_thread_counts(detector_file: Path, threads: int) -> None:
    with pytest.raises(InputError, match="num_threads"):
        Model(detector_file, num_threads=threads)


def test_threads_and_models(tmp_path: Path) -> None:
    """Two models on two threads, and one model shared by two more, all give what one alone gives, either way round."""
    detector_file = tmp_path / "turning.tflite"
    frame = Preprocess(width=96, height=64, turns=True)
    card = small_networks.detector_card(preprocess=frame)
    detector_file.write_bytes(embed_card(small_networks.bare_detector(size=96, height=64), card))
    rng = np.random.default_rng(3)
    shapes = ((90, 120, 3), (120, 90, 3))
    frames = [rng.integers(0, 256, shapes[i % 2], dtype=np.uint8) for i in range(40)]
    alone = [Model(detector_file).detect(frame, min_score=0.3) for frame in frames]
    shared = Model(detector_file)
    wrong: list[int] = []

    def work(model: Model) -> None:
        for i, frame in enumerate(frames):
            found = model.detect(frame, min_score=0.3)
            if not np.array_equal(found.boxes, alone[i].boxes) or not np.array_equal(found.scores, alone[i].scores):
                wrong.append(i)

    models = [Model(detector_file), Model(detector_file, num_threads=2), shared, shared]
    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_from_nothing_to_the_first_detection(detector_file: Path) -> None:
    """Goal 1 s on a Pi; the bound only catches a heavy import."""
    program = (
        "import time; start = time.process_time(); import numpy, edgebnn;"
        f"edgebnn.Model({str(detector_file)!r}).detect(numpy.zeros((480, 640, 3), numpy.uint8));"
        "import json, sys; print(json.dumps([time.process_time() - start, sorted(sys.modules)]))"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    print(f"import and first inference: {seconds:.2f} s of CPU, {time.monotonic() - started:.2f} s in all")
    assert seconds < 3
    assert not {"tensorflow", "larq", "larq_compute_engine", "keras", "typer", "rich", "flatbuffers"} & set(modules)


def test_absurd_tensor_sizes_are_refused_before_allocation(tmp_path: Path) -> None:
    graph = Graph()
    graph.output(graph.quantize(graph.input((1, 20_000, 20_000, 32))))
    with pytest.raises(ModelError, match=r"the tensors of net\.tflite would take \d+ MiB, more than 2048"):
        load(tmp_path, to_bytes(graph))
