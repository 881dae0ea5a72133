from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edgebnn_convert import peers
from edgebnn_convert.slices import computed_tensors, expose
from edgebnn_convert.twins import float_twin, int8_twin

from edgebnn.bench import OURS, OURS_ARRAYS, LiteRt, draw_inputs
from edgebnn.bench import run as run_bench
from edgebnn.errors import InputError, MissingExtraError, ModelError, ParityError
from edgebnn.inspection.graph import parse
from edgebnn.runtime.model import read_model
from tests.converters.conftest import PACKAGES
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph

DRAW = np.random.default_rng(7)


def signs(*shape: int) -> np.ndarray:
    return DRAW.integers(0, 2, shape).astype(bool)


def plus_minus(*shape: int) -> np.ndarray:
    return np.where(signs(*shape), -1, 1).astype(np.float32)


def convolution(channels: int = 40, *, out: int = 16, groups: int = 1, pool: bool = False, **options: object) -> bytes:
    graph = Graph()
    x = graph.quantize(graph.input((1, 9, 8, channels)))
    if pool:
        x = graph.bpool(x, (2, 3), (2, 1))
    multiplier, bias = DRAW.uniform(0.01, 1, out).astype(np.float32), np.zeros(out, np.float32)
    filters = signs(out, 3, 2, channels // groups)
    graph.output(graph.bconv(x, filters, multiplier=multiplier, bias=bias, **options))  # type: ignore[arg-type]
    return to_bytes(graph)


def run(model: bytes, inputs: list[np.ndarray], *, binary: bool) -> list[np.ndarray]:
    return LiteRt("test", model, num_threads=1, delegate={} if binary else None).run(inputs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "VALID"},
        {"padding": "VALID", "stride": (2, 1)},
        {"padding": "VALID", "dilation": (2, 2)},
        {"pad_value": 0},
        {"padding": "VALID", "activation": "RELU"},
        {"padding": "VALID", "channels": 64, "groups": 2},
        {"padding": "VALID", "channels": 3, "out": 5},
    ],
    ids=str,
)
def test_on_signs_the_float_twin_computes_what_the_original_does(options: dict[str, object], delegate: None) -> None:
    model = convolution(**options)  # type: ignore[arg-type]
    twin = parse(float_twin(model))
    assert [operator.name for operator in twin.main.operators] == ["CONV_2D"]
    inputs = [plus_minus(*twin.main.tensors[twin.main.inputs[0]].shape)]
    (want,), (got,) = run(model, inputs, binary=True), run(float_twin(model), inputs, binary=False)
    if options:
        np.testing.assert_allclose(got, want, atol=1e-4)
    else:  # the original pads with 1, the twin with 0
        np.testing.assert_allclose(got[:, 1:-1, 1:-1], want[:, 1:-1, 1:-1], atol=1e-4)


def test_pooling_of_bits_becomes_pooling_of_floats(delegate: None) -> None:
    model = convolution(pool=True, padding="VALID")
    twin = float_twin(model)
    assert [operator.name for operator in parse(twin).main.operators] == ["MAX_POOL_2D", "CONV_2D"]
    inputs = [plus_minus(1, 9, 8, 40)]
    (want,), (got,) = run(model, inputs, binary=True), run(twin, inputs, binary=False)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_chain_of_bits_becomes_floats_and_its_end_too(delegate: None) -> None:
    graph = Graph()
    x = graph.bconv(
        graph.quantize(graph.input((1, 5, 5, 33))),
        signs(48, 1, 1, 33),
        thresholds=np.full(48, 16, np.int32),
        type="bits",
    )
    graph.output(x, graph.dequantize(x))
    twin = parse(float_twin(to_bytes(graph)))
    assert [operator.name for operator in twin.main.operators] == ["CONV_2D"]
    assert [twin.main.tensors[i].shape for i in twin.main.outputs] == [(1, 5, 5, 48)] * 2
    assert {tensor.dtype for tensor in twin.main.tensors} == {"float32"}


def test_a_twin_holds_nothing_of_the_binary_weights() -> None:
    _, model = read_model("face")
    original, twin = parse(model), parse(float_twin(model))
    binary = sum(operator.is_lce for operator in original.main.operators)
    convolutions = sum(operator.name == "LceBconv2d" for operator in original.main.operators)
    assert not any(operator.custom for operator in twin.main.operators)
    assert len(twin.main.operators) == len(original.main.operators) - binary + convolutions
    assert {tensor.dtype for tensor in twin.main.tensors if tensor.data is not None and len(tensor.shape) == 4} == {
        "float32"
    }
    assert all(tensor.shape == original.main.tensors[i].shape for tensor, i in _ends(twin, original))


def _ends(twin: object, original: object) -> list[tuple[object, int]]:
    ends = [*twin.main.inputs, *twin.main.outputs]  # type: ignore[attr-defined]
    wanted = [*original.main.inputs, *original.main.outputs]  # type: ignore[attr-defined]
    return [(twin.main.tensors[i], j) for i, j in zip(ends, wanted, strict=True)]  # type: ignore[attr-defined]


def test_the_int8_twin_is_int8_from_end_to_end() -> None:
    twin = parse(int8_twin(read_model("face")[1]))
    tensors = twin.main.tensors
    assert {tensors[i].dtype for i in (*twin.main.inputs, *twin.main.outputs)} == {"int8"}
    assert not {operator.name for operator in twin.main.operators} & {"QUANTIZE", "DEQUANTIZE"}
    assert {tensors[o.inputs[0]].dtype for o in twin.main.operators if o.name == "CONV_2D"} == {"int8"}


def test_bools_have_no_twins() -> None:
    graph = Graph()
    graph.output(graph.quantize(graph.input((1, 4, 4, 32), "bool")))
    with pytest.raises(ModelError, match="LceQuantize 0 has bool"):
        float_twin(to_bytes(graph))


@pytest.mark.parametrize("kind", ["residual", "chain", "flat", "series", "two_inputs", "sequential", "int8"])
def test_twins_of_any_topology(kind: str, converted: Callable[[str], Path], delegate: None) -> None:
    """Residual, two outputs, dense, one-dimensional, two inputs, int8: same ends, no binary operator, and it runs."""
    model = converted(kind).read_bytes()
    original = parse(model)
    for twin, dtype in ((float_twin(model), "float32"), (int8_twin(model), "int8")):
        network = parse(twin)
        tensors = network.main.tensors
        assert not any(operator.custom for operator in network.main.operators)
        assert "DEQUANTIZE" not in {operator.name for operator in network.main.operators}
        assert {tensors[i].dtype for i in (*network.main.inputs, *network.main.outputs)} == {dtype}
        for ends, wanted in (
            (network.main.inputs, original.main.inputs),
            (network.main.outputs, original.main.outputs),
        ):
            assert [tensors[i].shape for i in ends] == [original.main.tensors[i].shape for i in wanted]
        runner = LiteRt("twin", twin, num_threads=1, delegate=None)
        outputs = runner.run(draw_inputs(network))
        assert all(np.isfinite(output).all() for output in outputs)
    convolutions = sum(operator.name == "LceBconv2d" for operator in original.main.operators)
    names = [operator.name for operator in parse(float_twin(model)).main.operators]
    assert names.count("CONV_2D") - [operator.name for operator in original.main.operators].count("CONV_2D") == (
        convolutions
    )


def test_the_float_twin_of_int8_operators_computes_the_same(converted: Callable[[str], Path], delegate: None) -> None:
    """In front of the first sign, to the rounding of int8."""
    model = converted("int8").read_bytes()
    network = parse(model)
    first = next(operator for operator in network.main.operators if operator.name == "CONV_2D")
    output = network.main.tensors[first.outputs[0]]
    assert output.dtype == "int8"
    front, twin_front = expose(model, network), expose(float_twin(model), parse(float_twin(model)))
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    values = dict(zip(computed_tensors(network), run(front, [x], binary=True), strict=True))
    want = (values[output.index].astype(np.float32) - output.zero_points[0]) * output.scales[0]
    twin = parse(float_twin(model))
    got = run(twin_front, [x], binary=False)[0]
    assert twin.main.operators[0].name == "CONV_2D"
    assert np.abs(np.clip(got, want.min(), want.max()) - want).max() <= 8 * output.scales[0]


def test_samples_set_the_ranges_of_the_int8_twin() -> None:
    model = convolution()
    x = plus_minus(1, 9, 8, 40)
    narrow, wide = (parse(int8_twin(model, [[x * factor]])) for factor in (1, 10))
    scales = [net.main.tensors[net.main.inputs[0]].scales[0] for net in (narrow, wide)]
    assert scales[1] == pytest.approx(10 * scales[0], rel=1e-3)


def test_damaged_models_have_no_twins() -> None:
    model = convolution()
    for end in (0, 8, 100, len(model) // 2):
        with pytest.raises(ModelError):
            float_twin(model[:end])


def test_twins_need_no_tensorflow() -> None:
    code = (
        "import sys; from edgebnn_convert.twins import int8_twin; from edgebnn.runtime.model import read_model\n"
        "int8_twin(read_model('face')[1]); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})


def test_names_of_peers() -> None:
    assert peers.parse_peers("lce, xnnpack-int8,lce") == ["lce", "xnnpack-int8"]
    for text in ("", "lce,onnx"):
        with pytest.raises(InputError, match="lce, lce-indirect, xnnpack-fp32, xnnpack-int8"):
            peers.parse_peers(text)


@pytest.mark.parametrize("name", peers.PEERS)
def test_peers_run_and_check_themselves(name: str, delegate: None) -> None:
    if name.startswith("lce") and importlib.util.find_spec("larq_compute_engine") is None:
        pytest.skip("LCE is not installed")
    model = convolution()
    inputs = draw_inputs(parse(model))
    peer = peers.load_peer(name, model, inputs, 1)
    peer.step()
    assert peer.name == name and peer.base == (OURS_ARRAYS if name.startswith("lce") else OURS)
    outputs = run(model, inputs, binary=True)
    assert peer.check(outputs) == ("= ours" if name.startswith("lce") else "shape, finite")
    with pytest.raises(ParityError):
        peer.check([output[:, 1:] for output in outputs] if not name.startswith("lce") else [1 - outputs[0] * 0])


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingExtraError("Larq Compute Engine is not installed")

    monkeypatch.setattr(peers, "Lce", missing)
    with pytest.raises(MissingExtraError, match="not installed"):
        peers.load_peer("lce", convolution(), [plus_minus(1, 9, 8, 40)], 1)


def test_benchmark_networks_are_binary_where_they_should_be(delegate: None) -> None:
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        pytest.skip("making networks needs TensorFlow, Larq and LCE")
    from edgebnn_convert import benchmark_networks

    names = list(benchmark_networks.networks())
    assert len(names) == 9 and {"conv3x3-64-32", "conv1x1-512-7", "quicknet"} <= set(names)
    single = parse(benchmark_networks.convert_network(lambda: benchmark_networks.single(64, 8, 1)))
    assert [operator.name for operator in single.main.operators] == ["LceQuantize", "LceBconv2d"]
    assert single.main.tensors[single.main.outputs[0]].dtype == "float32"

    model = benchmark_networks.convert_network(lambda: benchmark_networks.quicknet(size=32, blocks=(1, 2), classes=10))
    operators = parse(model).main.operators
    assert sum(operator.name == "LceBconv2d" for operator in operators) == 3
    assert {operator.name for operator in operators if operator.is_lce} == {"LceQuantize", "LceBconv2d"}
    result = run_bench("small", model, peers=list(peers.PEERS), load_peer=peers.load_peer, seconds=0.001)
    checks = {row.name: row.check for row in result.rows}
    assert all("= ours" in checks[name] for name in ("lce", "lce-indirect")) and result.notes == []
    assert [checks[name] for name in ("xnnpack-fp32", "xnnpack-int8")] == ["shape, finite"] * 2
