"""Lint: what makes a converted binarized network slow, large or wrong, found in the .tflite alone.

Each rule looks at the graph for a pattern that Larq Compute Engine (LCE) leaves behind when it could not keep a layer
binary. RULES says what each means; docs/converting.md shows the Keras code that leads to it. L13 and L15 need the Keras
model too and are the converter's: `edgebnn_convert.verify` and `edgebnn_convert.keras_lint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgebnn import bits
from edgebnn.inspection.graph import Network, Operator, Tensor
from edgebnn.inspection.options import fused_activation
from edgebnn.inspection.work import DATA_INPUT, Work, count_work

RULES = {
    "L01": "binary input, float operator",
    "L02": "binary weights stored as floats",
    "L03": "batch normalization behind a pooling",
    "L04": "a binary convolution writes floats for the next one's sign",
    "L05": "sign of what is never negative",
    "L06": "grouped binary convolution",
    "L07": "channels that are no multiple of 32",
    "L08": "operator that no interpreter knows",
    "L09": "a float layer where int8 was asked for",
    "L10": "sign unpacked to floats again",
    "L11": "quantizer that LCE did not recognize",
    "L12": "most of the work is float",
    "L13": "Keras and the converted network disagree",
    "L14": "order of the outputs",
    "L15": "Keras layer or quantizer that LCE cannot keep binary",
}

LCE_OPERATORS = {"LceQuantize", "LceDequantize", "LceBconv2d", "LceBMaxPool2d"}
KNOWN_CUSTOM = {"TFLite_Detection_PostProcess"}  # a stock interpreter registers it

_CURES = {
    "L01": "write it as a QuantConv2D (1x1 or full-size for a dense layer, (1, k) for a series), pad value 0 or 1",
    "L02": "give the layer an input_quantizer as well, else one bit a weight is stored as 32",
    "L03": "put BatchNormalization in front of the pooling: then the pooling works on bits",
    "L05": "drop the ReLU, or put BatchNormalization between it and the sign",
    "L10": "let the sign be read by a QuantConv2D or a max pooling only, or take the values in front of the sign",
    "L11": "use a quantizer that LCE knows, such as ste_sign (-1 and +1, sign(0) = +1)",
}

# Operators that move values and leave them as they are.
_MOVES = {
    "BATCH_TO_SPACE_ND",
    "CONCATENATION",
    "DEPTH_TO_SPACE",
    "EXPAND_DIMS",
    "GATHER",
    "MIRROR_PAD",
    "PACK",
    "PAD",
    "PADV2",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPACE_TO_BATCH_ND",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
}
_AFFINE = {"ADD", "DIV", "MUL", "SUB"}
_ACTIVATIONS = {"LEAKY_RELU", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1"}
_QUANTIZER_REMAINS = {
    "CAST",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "MULTINOMIAL",
    "RANDOM_STANDARD_NORMAL",
    "RANDOM_UNIFORM",
    "ROUND",
    "SELECT",
    "SELECT_V2",
    "SIGN",
}
_NEVER_NEGATIVE = {"ABS", "EXP", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "SOFTMAX", "SQRT", "SQUARE"}
# Non-negative when all of their float inputs are.
_KEEP_SIGNS = _MOVES | {"ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "RESIZE_BILINEAR", "SUM"}


@dataclass(frozen=True)
class Finding:
    """What a rule found: where, why it matters, and the cure. An error makes `edgebnn convert` fail."""

    rule: str
    severity: Literal["error", "warning"]
    layer: str
    why: str
    cure: str

    def as_text(self) -> str:
        """One line."""
        return f"{self.severity} {self.rule}: {self.layer}: {self.why}; cure: {self.cure}"

    def as_json(self) -> dict[str, str]:
        """The fields, by name."""
        return asdict(self)


def lint(network: Network, *, int8: bool = False) -> list[Finding]:
    """All findings in the order of the rules; `int8`: whether it was asked for, for all that is not binary."""
    graph = _Graph(network)
    found = [finding for rule in _RULES for finding in rule(graph)]
    if int8:
        found += _float_layers(graph)
    return sorted(found, key=lambda finding: finding.rule)


class _Graph:
    """The main graph with its edges."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.main = network.main
        self.producers = self.main.producers()
        self.consumers: dict[int, list[Operator]] = {}
        for operator in self.main.operators:
            for index in dict.fromkeys(operator.inputs):
                self.consumers.setdefault(index, []).append(operator)

    @cached_property
    def work(self) -> list[Work]:
        return count_work(self.network)

    def computed(self, operator: Operator) -> list[int]:
        """Its inputs that are no constants."""
        return [i for i in operator.inputs if i >= 0 and self.main.tensors[i].data is None]

    def is_unary(self, operator: Operator) -> bool:
        """Whether it has one computed input and one output."""
        return len(self.computed(operator)) == 1 == len(operator.outputs)

    def source(self, operator: Operator) -> int:
        """Its first input, -1 without one."""
        return operator.inputs[0] if operator.inputs else -1

    def bitpacked(self, operator: Operator) -> bool:
        """Whether its output is."""
        return self.main.tensors[operator.outputs[0]].dtype == "int32"

    def single_user(self, tensor: int) -> Operator | None:
        users = self.consumers.get(tensor, [])
        return users[0] if len(users) == 1 and tensor not in self.main.outputs else None

    def sources(self, tensor: int, passing: set[str]) -> list[Operator]:
        """The operators that a tensor comes from, seen through those named in `passing`."""
        found, waiting, seen = [], [tensor], set()
        while waiting:
            operator = self.producers.get(waiting.pop())
            if operator is None or operator.index in seen:
                continue
            seen.add(operator.index)
            if operator.name in passing:
                waiting += self.computed(operator)
            else:
                found.append(operator)
        return found

    def float_layers(self) -> Iterator[tuple[Operator, int, Tensor]]:
        """Operators that multiply by weights and are not binary: (operator, data input, weights)."""
        for operator in self.main.operators:
            position = DATA_INPUT.get(operator.name)
            if position is None or operator.is_lce or len(operator.inputs) <= max(1, position):
                continue
            if min(operator.inputs[position], operator.inputs[1]) >= 0:
                yield operator, operator.inputs[position], self.main.tensors[operator.inputs[1]]

    def name(self, operator: Operator) -> str:
        output = self.main.tensors[operator.outputs[0]].name if operator.outputs else ""
        return f"{operator.name} {operator.index} ({output})"

    def found(self, rule: str, operator: Operator, why: str, *, error: bool = False, cure: str = "") -> Finding:
        return Finding(rule, "error" if error else "warning", self.name(operator), why, cure or _CURES[rule])


def has_binary_weights(weights: Tensor, *, channel_axis: int) -> bool:
    """Whether each channel's weights are +-1 times one magnitude (tolerance 0.5 %, as LCE's), with both signs."""
    if weights.data is None or weights.dtype not in ("float32", "float16", "int8") or len(weights.shape) < 2:
        return False
    values = np.moveaxis(weights.value().astype(np.float32), channel_axis, 0).reshape(weights.shape[channel_axis], -1)
    return _one_magnitude(values) and bool((values > 0).any() and (values < 0).any())


def _one_magnitude(values: npt.NDArray[np.float32]) -> bool:
    if values.size == 0 or values.shape[1] < 2:
        return False
    magnitudes = np.abs(values)
    most = magnitudes.max(axis=1)
    return bool(np.isfinite(most).all() and (most > 0).all() and (magnitudes.min(axis=1) >= 0.995 * most).all())


def _binary_weights(operator: Operator, weights: Tensor) -> bool:
    return has_binary_weights(weights, channel_axis=-1 if operator.name == "DEPTHWISE_CONV_2D" else 0)


def _float_operators(graph: _Graph) -> Iterator[Finding]:
    """L01, L02 and L11: layers that a user wrote as binary and that run in float."""
    for operator, source, weights in graph.float_layers():
        binary = _binary_weights(operator, weights)
        passing = _MOVES | ({"MUL"} if binary else set())
        unpacked = [found for found in graph.sources(source, passing) if found.name == "LceDequantize"]
        remains = [
            found
            for tensor in (source, weights.index)
            for found in graph.sources(tensor, _MOVES | _AFFINE)
            if found.name in _QUANTIZER_REMAINS
        ]
        if unpacked:
            kind = "a binary layer that runs as float" if binary else "its weights are not binary"
            why = f"its input was binarized and is unpacked to floats: {kind}"
            yield graph.found("L01", operator, why, error=binary)
        elif remains:
            why = f"what was meant as a quantizer became {remains[0].name} {remains[0].index}, the layer runs as float"
            yield graph.found("L11", operator, why, error=binary or weights.data is None)
        elif binary:
            size = len(weights.data or b"")
            why = f"its {weights.elements:,} weights are +-1 times one magnitude a channel and take {size:,} bytes"
            yield graph.found("L02", operator, why)


def _normalized_behind_pooling(graph: _Graph) -> Iterator[Finding]:
    """L03: MAX_POOL_2D, MUL, ADD, LceQuantize."""
    for operator in graph.main.operators:
        if operator.name != "LceQuantize":
            continue
        chain = _chain_back(graph, graph.source(operator), _AFFINE)
        pool = graph.producers.get(chain[-1].inputs[0]) if chain else None
        if pool is not None and pool.name == "MAX_POOL_2D":
            yield graph.found("L03", pool, "pools floats, for it stands in front of a batch normalization")


def _chain_back(graph: _Graph, tensor: int, names: set[str]) -> list[Operator]:
    """The operators of one computed input each, out of `names`, that lead to a tensor; the nearest first."""
    chain: list[Operator] = []
    while True:
        operator = graph.producers.get(tensor)
        if operator is None or operator.name not in names or graph.computed(operator) != [graph.source(operator)]:
            return chain
        chain.append(operator)
        tensor = operator.inputs[0]


def _floats_between(graph: _Graph) -> Iterator[Finding]:
    """L04: LceBconv2d (float), LceQuantize, with nobody else reading the floats; the blocker is named."""
    for operator in graph.main.operators:
        if operator.name != "LceBconv2d" or len(operator.outputs) != 1 or graph.bitpacked(operator):
            continue
        chain, user = [], graph.single_user(operator.outputs[0])
        while user is not None and user.name in _AFFINE | _ACTIVATIONS and graph.is_unary(user):
            chain.append(user.name)
            user = graph.single_user(user.outputs[0])
        if user is None or user.name != "LceQuantize" or (chain and chain[-1] in ("RELU", "RELU6")):
            continue  # a ReLU in front of the sign is L05's
        dtype = graph.main.tensors[operator.outputs[0]].dtype
        if dtype == "int8":
            blocker, cure = "its output is fake-quantized", "no fake-quantization between the convolution and the sign"
        elif operator.options.get("pad_values") == 0 and operator.options.get("padding") == 0:
            blocker, cure = "it pads with zeros", "pad_values=1"
        elif chain:
            blocker = f"{' and '.join(chain)} stand between"
            cure = "the order convolution, activation (ReLU, hard_tanh or none), BatchNormalization, sign"
        else:
            blocker, cure = "the converter did not fold the sign into it", "BatchNormalization behind the convolution"
        why = f"writes {dtype} that only the next sign reads: {blocker}"
        yield graph.found("L04", operator, why, cure=f"{cure}, so that it writes bits")


def _constant_signs(graph: _Graph) -> Iterator[Finding]:
    """L05: LceQuantize of what is never negative gives +1 everywhere."""
    never_negative: set[int] = set()
    for operator in graph.main.operators:
        if _is_never_negative(graph, operator, never_negative):
            never_negative.update(operator.outputs)
        if operator.name == "LceQuantize" and graph.source(operator) in never_negative:
            source = graph.producers[graph.source(operator)]
            why = f"every sign is +1, for {graph.name(source)} is never negative: the layers behind it learn nothing"
            yield graph.found("L05", operator, why, error=True)


def _is_never_negative(graph: _Graph, operator: Operator, known: set[int]) -> bool:
    tensors = graph.main.tensors
    if any(tensors[i].dtype != "float32" for i in operator.outputs):
        return False
    if operator.name == "LceBconv2d":
        scales = [tensors[i] for i in operator.inputs[2:4] if i >= 0]
        if operator.options.get("fused_activation_function") not in (1, 3) or any(t.data is None for t in scales):
            return False
        return len(scales) == 2 and not any(_has_negative(t) for t in scales)
    if operator.name in _NEVER_NEGATIVE or fused_activation(operator.name, operator.builtin_options) in (1, 3):
        return True
    if operator.name not in _KEEP_SIGNS:
        return False
    floats = [i for i in operator.inputs if i >= 0 and tensors[i].dtype == "float32"]
    constants = [i for i in floats if tensors[i].data is not None]
    return bool(floats) and all(not _has_negative(tensors[i]) if i in constants else i in known for i in floats)


def _has_negative(tensor: Tensor) -> bool:
    return bool((tensor.value().astype(np.float32) < 0).any())


def _groups(graph: _Graph) -> Iterator[Finding]:
    """L06."""
    for operator, words, filters in _binary_convolutions(graph):
        if filters.shape[3] and words > filters.shape[3]:
            why = f"has {words // filters.shape[3]} groups, which LCE's own interpreter refuses by default"
            cure = "run it with the edgebnn delegate, or LCE with use_indirect_bgemm=True"
            yield graph.found("L06", operator, why, cure=cure)


def _odd_channels(graph: _Graph) -> Iterator[Finding]:
    """L07."""
    for operator, words, _ in _binary_convolutions(graph):
        channels = operator.options.get("channels_in", 0)
        if channels % bits.WORD:
            waste = 100 * (1 - channels / (words * bits.WORD))
            padded = words * bits.WORD
            why = f"its {channels} input channels are padded to {padded}: {waste:.0f} % of its work is wasted"
            yield graph.found("L07", operator, why, cure="use a multiple of 32 channels in front of a sign")


def _binary_convolutions(graph: _Graph) -> Iterator[tuple[Operator, int, Tensor]]:
    """(operator, words of an input pixel, filters)."""
    for operator in graph.main.operators:
        if operator.name == "LceBconv2d" and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            filters = graph.main.tensors[operator.inputs[1]]
            if len(filters.shape) == 4:
                yield operator, bits.words(max(0, operator.options.get("channels_in", 0))), filters


def _unknown_operators(graph: _Graph) -> Iterator[Finding]:
    """L08."""
    for operator in graph.main.operators:
        if operator.custom and operator.name not in LCE_OPERATORS | KNOWN_CUSTOM:
            why = f"LCE made a custom operator {operator.name!r} of a layer that TFLite has no operator for"
            yield graph.found("L08", operator, why, error=True, cure="replace the layer: no interpreter runs it")


def _float_layers(graph: _Graph) -> Iterator[Finding]:
    """L09."""
    for operator, _, weights in graph.float_layers():
        if weights.dtype == "float32":
            why = "computes in float32, int8 was asked for: the converter fell back without a word"
            cure = "fake-quantize the activations in front of it and behind it, as convert --int8 does"
            yield graph.found("L09", operator, why, error=True, cure=cure)


def _unpacked_signs(graph: _Graph) -> Iterator[Finding]:
    """L10: LceQuantize, LceDequantize, unless a float layer behind them is L01's."""
    blamed = {
        found.index
        for _, source, _ in graph.float_layers()
        for found in graph.sources(source, _MOVES | {"MUL"})
        if found.name == "LceDequantize"
    }
    for operator in graph.main.operators:
        source = graph.producers.get(graph.source(operator)) if operator.name == "LceDequantize" else None
        if source is not None and source.name == "LceQuantize" and operator.index not in blamed:
            yield graph.found("L10", operator, f"unpacks the signs of LceQuantize {source.index} to floats")


def _float_share(graph: _Graph) -> Iterator[Finding]:
    """L12."""
    macs = sum(work.macs for work in graph.work)
    floats = [(work.macs, op) for work, op in zip(graph.work, graph.main.operators, strict=True) if not work.binary]
    total = sum(count for count, _ in floats)
    if total == macs or 2 * total <= macs:  # no binary layer at all is no binarized network
        return
    most, operator = max(floats, key=lambda pair: pair[0])
    why = f"{100 * total / macs:.0f} % of the network's MACs are float, {100 * most / macs:.0f} % in this operator"
    cure = "binarize it, narrow it, or let it work at a lower resolution"
    yield graph.found("L12", operator, why, cure=cure)


def _output_order(graph: _Graph) -> Iterator[Finding]:
    """L14: programs that take outputs by position get others than Keras gave."""
    outputs = graph.main.outputs
    if len(outputs) < 2:
        return
    signature = next((s for s in graph.network.signatures if s.subgraph == 0), None)
    names = [graph.main.tensors[i].name for i in outputs]
    if signature is None:
        why = f"nothing but their position tells the {len(outputs)} outputs apart, and LCE changes it"
        yield Finding("L14", "warning", ", ".join(names), why, "convert with a signature")
    elif list(signature.outputs.values()) != list(outputs):
        position = {index: name for name, index in signature.outputs.items()}
        order = ", ".join(position.get(i, "?") for i in outputs)
        named = ", ".join(signature.outputs)
        why = f"the graph gives the outputs in the order {order}, the signature in the order {named}"
        yield Finding("L14", "warning", order, why, "take outputs by their signature names, as edgebnn.Model does")


_RULES: Sequence[Callable[[_Graph], Iterator[Finding]]] = (
    _float_operators,
    _normalized_behind_pooling,
    _floats_between,
    _constant_signs,
    _groups,
    _odd_channels,
    _unknown_operators,
    _unpacked_signs,
    _float_share,
    _output_order,
)
