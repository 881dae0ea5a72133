"""Each rule on the smallest graph that breaks it, and on its neighbour that does not."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebnn import bits, cli
from edgebnn.errors import ModelError
from edgebnn.inspection.graph import Network, Operator, Signature, Subgraph, Tensor, parse
from edgebnn.inspection.lint import LCE_OPERATORS, RULES, has_binary_weights, lint
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.tflite"))
SHAPE = (1, 8, 8, 32)
CUSTOM = LCE_OPERATORS | {"FlexErf", "TFLite_Detection_PostProcess"}


class Net:
    """A graph of named operators on tensors of one shape; the last operator's outputs are the graph's."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.options: dict[int, dict[str, int]] = {}
        self.x = self.tensor()

    def tensor(self, value: Any = None, *, dtype: str = "float32", shape: Sequence[int] = SHAPE) -> int:
        data = None
        if value is not None:
            array = np.asarray(value)
            dtype, shape, data = str(array.dtype), array.shape, memoryview(array.tobytes())
        index = len(self.tensors)
        self.tensors.append(Tensor(index, f"t{index}", tuple(shape), dtype, data, (), (), index, False))
        return index

    def op(self, name: str, *inputs: int, dtype: str = "float32", shape: Sequence[int] = SHAPE, **options: int) -> int:
        output = self.tensor(dtype=dtype, shape=shape)
        operator = Operator(len(self.operators), name, name in CUSTOM, inputs, (output,), b"", None, 0)
        operator.__dict__["options"] = options  # in place of parsed bytes
        self.operators.append(operator)
        return output

    def quantize(self, x: int) -> int:
        return self.op("LceQuantize", x, dtype="int32", shape=(1, 8, 8, 1))

    def conv(
        self, x: int, *, out: str = "float32", channels: int = 32, group: int = 0, scale: Any = 1.0, **o: int
    ) -> int:
        """A binary 3x3 convolution of bits."""
        filters = self.tensor(np.zeros((32, 3, 3, bits.words(group or channels)), np.int32))
        scales = [self.tensor(np.full(32, value, np.float32)) for value in (scale, scale)]
        options = {"channels_in": channels, "padding": 0, "pad_values": 1, "fused_activation_function": 0, **o}
        return self.op("LceBconv2d", x, filters, *scales, dtype=out, **options)

    def weights(self, *, binary: bool, shape: Sequence[int] = (32, 3, 3, 32)) -> int:
        draw = np.random.default_rng(0)
        values = draw.normal(size=shape)
        return self.tensor((0.1 * np.sign(values) if binary else values).astype(np.float32))

    def constant(self) -> int:
        return self.tensor(np.linspace(-1, 1, 32, dtype=np.float32))

    def network(self, *outputs: int, signature: bool = True) -> Network:
        outputs = outputs or self.operators[-1].outputs
        graph = Subgraph("main", tuple(self.tensors), tuple(self.operators), (self.x,), outputs, None)  # type: ignore[arg-type]
        names = {f"out{i}": index for i, index in enumerate(outputs)}
        signatures = (Signature("serving_default", {"x": self.x}, names, 0),) if signature else ()
        return Network(1000, (graph,), signatures, ())

    def found(self, *outputs: int) -> list[tuple[str, str]]:
        return [(finding.rule, finding.severity) for finding in lint(self.network(*outputs))]


def test_a_good_network_has_no_findings() -> None:
    net = Net()
    y = net.conv(net.conv(net.quantize(net.x), out="int32"), out="float32")
    net.op("ADD", net.x, y)
    assert net.found() == []


@pytest.mark.parametrize("between", [[], ["PADV2"], ["RESHAPE", "TRANSPOSE"]])
@pytest.mark.parametrize("layer", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_l01_binary_input_float_operator(layer: str, between: list[str]) -> None:
    for binary, severity in ((True, "error"), (False, "warning")):
        net = Net()
        y = net.op("LceDequantize", net.quantize(net.x))
        for name in between:
            y = net.op(name, y)
        shape = {"CONV_2D": (32, 3, 3, 32), "DEPTHWISE_CONV_2D": (1, 3, 3, 32), "FULLY_CONNECTED": (10, 32)}[layer]
        net.op(layer, y, net.weights(binary=binary, shape=shape))
        assert ("L01", severity) in net.found()
        assert "L10" not in {rule for rule, _ in net.found()}, "the pair is blamed once"


def test_l01_transposed_convolution_takes_its_data_third() -> None:
    net = Net()
    y = net.op("LceDequantize", net.quantize(net.x))
    net.op("TRANSPOSE_CONV", net.tensor(np.zeros(4, np.int32)), net.weights(binary=True), y)
    assert ("L01", "error") in net.found()


def test_l01_scaled_signs() -> None:
    """XNOR-Net's K: sign(x) times a map."""
    net = Net()
    scale = net.op("MEAN", net.x)
    y = net.op("MUL", net.op("LceDequantize", net.quantize(net.x)), scale)
    net.op("CONV_2D", y, net.weights(binary=True))
    assert ("L01", "error") in net.found()


def test_l02_binary_weights_stored_as_floats() -> None:
    net = Net()
    net.op("CONV_2D", net.x, net.weights(binary=True))
    assert net.found() == [("L02", "warning")]
    net = Net()
    net.op("CONV_2D", net.x, net.weights(binary=False))
    assert net.found() == []


@pytest.mark.parametrize(
    ("values", "binary"),
    [
        ([[1, -1, 1], [-0.5, -0.5, 0.5]], True),
        ([[1, -1, 1], [0.5, -0.5, 0.51]], False),
        ([[1, 1, 1], [1, 1, 1]], False),  # an average, not a binarized layer
        ([[1, -1, 0], [1, -1, 1]], False),
        ([[1], [-1]], False),  # one weight a channel always has one magnitude
        ([[0, 0, 0], [0, 0, 0]], False),
        ([[np.nan, 1, -1], [1, 1, -1]], False),
        ([[np.inf, -np.inf, np.inf], [1, 1, -1]], False),
    ],
)
def test_binary_weights(values: Any, binary: bool) -> None:
    array = np.array(values, np.float32)
    tensor = Tensor(0, "w", array.shape, "float32", memoryview(array.tobytes()), (), (), 0, False)
    assert has_binary_weights(tensor, channel_axis=0) is binary


def test_l03_batch_normalization_behind_a_pooling() -> None:
    net = Net()
    y = net.op("MAX_POOL_2D", net.x)
    net.conv(net.quantize(net.op("ADD", net.op("MUL", y, net.constant()), net.constant())), out="float32")
    assert net.found() == [("L03", "warning")]
    net = Net()
    net.conv(net.quantize(net.op("MAX_POOL_2D", net.x)))
    assert net.found() == [], "a pooling in front of a sign may well be of floats"


@pytest.mark.parametrize(
    ("options", "between", "blocker"),
    [
        ({"pad_values": 0}, [], "it pads with zeros"),
        ({}, ["PRELU"], "PRELU stand between"),
        ({}, ["RELU", "MUL", "ADD"], "RELU and MUL and ADD stand between"),
        ({"out": "int8"}, [], "its output is fake-quantized"),
        ({}, [], "the converter did not fold the sign into it"),
    ],
)
def test_l04_names_what_keeps_a_chain_from_bits(options: dict[str, Any], between: list[str], blocker: str) -> None:
    net = Net()
    y = net.conv(net.quantize(net.x), **options)
    for name in between:
        y = net.op(name, y, net.constant()) if name in ("MUL", "ADD", "PRELU") else net.op(name, y)
    net.conv(net.quantize(y))
    (finding,) = lint(net.network())
    assert (finding.rule, finding.severity) == ("L04", "warning")
    assert blocker in finding.why
    assert finding.layer.startswith("LceBconv2d 1 ")


def test_l04_leaves_alone_what_others_read() -> None:
    net = Net()
    y = net.conv(net.quantize(net.x), pad_values=0)
    z = net.conv(net.quantize(y))
    net.op("ADD", y, z)
    assert net.found() == []


@pytest.mark.parametrize("between", [[], ["MAX_POOL_2D"], ["RESIZE_NEAREST_NEIGHBOR", "CONCATENATION"]])
def test_l05_the_sign_of_a_relu(between: list[str]) -> None:
    for activation, expected in (("RELU", ["L05"]), ("LEAKY_RELU", [])):
        net = Net()
        y = net.op(activation, net.x)
        for name in between:
            y = net.op(name, y)
        net.conv(net.quantize(y))
        assert [rule for rule, _ in net.found()] == expected


def test_l05_needs_every_part_to_be_non_negative() -> None:
    net = Net()
    net.conv(net.quantize(net.op("CONCATENATION", net.op("RELU", net.x), net.x)))
    assert net.found() == []
    net = Net()
    y = net.op("ADD", net.op("RELU", net.x), net.op("LOGISTIC", net.x))
    net.conv(net.quantize(y))
    assert net.found() == [("L05", "error")]


def test_l05_fused_relus() -> None:
    graph = Graph()
    x = graph.input((1, 4, 4, 32))
    graph.output(graph.quantize(graph.add(x, x, "RELU6")))
    assert [finding.rule for finding in lint(parse(to_bytes(graph)))] == ["L05"]
    for scale, expected in ((1.0, ["L05"]), (-1.0, [])):
        net = Net()
        y = net.conv(net.quantize(net.x), fused_activation_function=1, scale=scale)
        z = net.conv(net.quantize(y))
        net.op("ADD", y, z)
        assert [rule for rule, _ in net.found()] == expected


def test_l06_groups() -> None:
    net = Net()
    net.conv(net.quantize(net.x), channels=64, group=32)
    assert net.found() == [("L06", "warning")]


@pytest.mark.parametrize(("channels", "waste"), [(3, "91 %"), (48, "25 %"), (33, "48 %")])
def test_l07_channels(channels: int, waste: str) -> None:
    net = Net()
    net.conv(net.quantize(net.x), channels=channels)
    (finding,) = lint(net.network())
    assert finding.rule == "L07" and waste in finding.why


def test_l08_operators_that_nobody_knows() -> None:
    net = Net()
    net.op("FlexErf", net.x)
    assert net.found() == [("L08", "error")]
    net = Net()
    net.op("TFLite_Detection_PostProcess", net.x)
    assert net.found() == []


def test_l09_float_layers_where_int8_was_asked_for() -> None:
    net = Net()
    net.op("CONV_2D", net.x, net.weights(binary=False))
    assert lint(net.network()) == []
    assert [(f.rule, f.severity) for f in lint(net.network(), int8=True)] == [("L09", "error")]
    net = Net()
    net.op("CONV_2D", net.x, net.tensor(np.arange(-50, 50, dtype=np.int8).reshape(4, 1, 1, 25)))
    assert lint(net.network(), int8=True) == []


def test_l10_signs_unpacked_again() -> None:
    net = Net()
    net.op("ADD", net.op("LceDequantize", net.quantize(net.x)), net.x)
    assert net.found() == [("L10", "warning")]


@pytest.mark.parametrize("remains", ["SIGN", "SELECT_V2", "CAST"])
def test_l11_quantizers_that_lce_did_not_recognize(remains: str) -> None:
    net = Net()
    y = net.op("ADD", net.op("MUL", net.op(remains, net.x), net.constant()), net.constant())
    net.op("CONV_2D", y, net.weights(binary=True))
    assert net.found() == [("L11", "error")]


def test_l11_weights_drawn_at_run_time() -> None:
    net = Net()
    net.op("CONV_2D", net.x, net.op("SELECT", net.op("RANDOM_UNIFORM", net.tensor(np.zeros(4, np.int32)))))
    assert ("L11", "error") in net.found()


def test_l12_float_work() -> None:
    net = Net()
    y = net.conv(net.quantize(net.x))
    net.op("CONV_2D", y, net.weights(binary=False, shape=(64, 3, 3, 32)), shape=(1, 8, 8, 64))
    (finding,) = lint(net.network())
    assert finding.rule == "L12" and finding.why.startswith("67 % of the network's MACs are float")
    net = Net()
    net.op("CONV_2D", net.x, net.weights(binary=False))
    assert net.found() == [], "a float network is none of ours"


def test_l14_order_of_outputs() -> None:
    net = Net()
    first, second = net.op("RELU", net.x), net.op("ABS", net.x)
    network = net.network(first, second)
    assert lint(network) == []
    (graph,) = network.subgraphs
    swapped = Network(1000, (graph,), (Signature("s", {"x": 0}, {"a": second, "b": first}, 0),), ())
    (finding,) = lint(swapped)
    assert finding.rule == "L14" and "order b, a, the signature in the order a, b" in finding.why
    assert [f.rule for f in lint(net.network(first, second, signature=False))] == ["L14"]


def test_the_packaged_detector_is_clean() -> None:
    weights = Path(__file__).parents[3] / "edgebnn" / "weights" / "face.tflite"
    assert lint(parse(weights.read_bytes())) == []


def test_findings_are_one_line_and_known() -> None:
    for path in GOLDEN:
        for finding in lint(parse(path.read_bytes())):
            assert finding.rule in RULES and "\n" not in finding.as_text()


def test_damaged_graphs_never_escape() -> None:
    """Whatever parses can be linted; anything else is a ModelError."""
    draw = random.Random(3)
    linted = 0
    for _ in range(2000):
        data = bytearray(draw.choice(GOLDEN).read_bytes())
        for _ in range(draw.choice([1, 2, 8])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            lint(parse(bytes(data)))
            linted += 1
        except ModelError as error:
            assert "\n" not in str(error)
    assert linted > 100


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph()
    x = graph.input((1, 4, 4, 32))
    graph.output(graph.quantize(graph.relu(x)))
    path = tmp_path / "net.tflite"
    path.write_bytes(to_bytes(graph))
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", "--lint", str(path)])
    assert end.value.code == 1
    assert "lint: 1 errors, 0 warnings" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", "--lint", "--filters", "--json", str(path)])
    report = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in report["lint"]] == ["L05"]
    assert report["filters"] == []
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", str(path)])
    assert end.value.code == 0
    assert "lint" not in capsys.readouterr().out
