"""Twins of a binarized .tflite: the same topology in float32 and in int8, for comparing speed; no TensorFlow needed.

    LceQuantize, LceDequantize   dropped: a float network has no sign
    LceBconv2d                   CONV_2D, weights sign * multiplier, bias, the fused activation behind them
    LceBMaxPool2d                MAX_POOL_2D
    QUANTIZE, DEQUANTIZE         dropped; int8 operators become float32, their constants what they stand for
    every other operator         as it is

A twin's results mean nothing. It is never slower than a float network of that topology: batch normalization costs it
nothing, also where the original applies it behind the activation, and SAME pads with 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebnn import bits, rewrite
from edgebnn.errors import MissingExtraError, ModelError
from edgebnn.inspection.graph import Network, Operator, bitpacked_channels, parse
from edgebnn_convert.difference import Array
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.samples import draw_samples

_FLOAT32 = 0  # the schema's TensorType


def float_twin(model: bytes) -> bytes:
    """The float32 twin, inputs and outputs in the model's order; ModelError when the model is damaged."""
    network = parse(model)
    _check_types(network)
    return _Twin(rewrite.unpack(model), network).make()


def int8_twin(model: bytes, samples: Sequence[Sequence[Array]] | None = None) -> bytes:
    """The int8 twin, int8 input and output too: the float twin after TFLite's post-training quantization.

    `samples` are float32 arrays in the order of the inputs, random ones by default: they set the ranges, not the speed.
    MissingExtraError where the runtime has no quantizer.
    """
    content = float_twin(model)
    try:
        from ai_edge_litert._pywrap_tensorflow_lite_calibration_wrapper import CalibrationWrapper
    except ImportError:
        raise MissingExtraError(
            "the int8 twin needs the quantizer of ai-edge-litert 2: `pip install -U ai-edge-litert`"
        ) from None
    fed = [list(sample) for sample in samples or [sample.arrays for sample in draw_samples(parse(content))]]
    try:
        with captured_stderr():
            quantizer = CalibrationWrapper(content, [], [])
            quantizer.Prepare([list(array.shape) for array in fed[0]])
            for arrays in fed:
                quantizer.FeedTensor(arrays)
            int8, int32 = np.dtype(np.int8).num, np.dtype(np.int32).num
            return bytes(quantizer.QuantizeModel(int8, int8, True, int8, int32, False, False))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"TFLite cannot quantize the float twin: {' '.join(str(error).split())}") from error


def _check_types(network: Network) -> None:
    tensors = network.main.tensors
    for operator in network.main.operators:
        if not operator.is_lce:
            continue
        types = {tensors[i].dtype for i in (operator.inputs[0], operator.outputs[0])}
        if not types <= {"float32", "int32", "int8"}:
            raise ModelError(
                f"twins are made of models with float32 or int8 activations, {operator.name} {operator.index} has "
                f"{', '.join(sorted(types - {'int32'}))}: bench a model without it"
            )


class _Twin:
    """The rewriting of one model; `model` is a ModelT and gets changed."""

    def __init__(self, model: Any, network: Network) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model, self._network = model, network
        self._graph = model.subgraphs[0]
        self._channels = bitpacked_channels(network.main)
        self._alias: dict[int, int] = {}

    def make(self) -> bytes:
        self._make_float()
        operators = []
        for operator, packed in zip(self._network.main.operators, self._graph.operators, strict=True):
            if operator.name in ("LceQuantize", "LceDequantize", "QUANTIZE", "DEQUANTIZE"):
                self._alias[operator.outputs[0]] = self._source(operator.inputs[0])
                continue
            packed.inputs = [self._source(i) for i in operator.inputs]
            if operator.is_lce:
                change = {"LceBconv2d": self._convolution, "LceBMaxPool2d": self._pooling}.get(operator.name)
                if change is None:
                    raise ModelError(f"this edgebnn knows no twin of {operator.name}: upgrade edgebnn")
                change(operator, packed)
            operators.append(packed)
        graph = self._network.main
        return rewrite.pack(self._model, operators, graph.inputs, [self._source(i) for i in graph.outputs])

    def _make_float(self) -> None:
        """Integers with scales become the float32 they stand for."""
        for tensor in self._network.main.tensors:
            packed = self._graph.tensors[tensor.index]
            if not tensor.scales or tensor.dtype not in ("int8", "uint8", "int16", "int32"):
                continue
            if tensor.data is not None:
                shape = np.ones(len(tensor.shape), np.int64)
                if len(tensor.scales) > 1:
                    shape[packed.quantization.quantizedDimension] = -1
                scale, zero = (np.asarray(x, np.float64).reshape(shape) for x in (tensor.scales, tensor.zero_points))
                values = ((tensor.value().astype(np.float64) - zero) * scale).astype("<f4")
                packed.buffer = rewrite.put_constant(self._model, values.tobytes())
            packed.type, packed.quantization = _FLOAT32, None

    def _source(self, tensor: int) -> int:
        return self._alias.get(tensor, tensor)

    def _pooling(self, operator: Operator, packed: Any) -> None:
        options = self._schema.Pool2DOptionsT()
        options.padding = operator.options["padding"]
        options.strideH, options.strideW = operator.options["stride_height"], operator.options["stride_width"]
        options.filterHeight, options.filterWidth = operator.options["filter_height"], operator.options["filter_width"]
        self._become(packed, "MAX_POOL_2D", "Pool2DOptions", options, operator.outputs[0])

    def _convolution(self, operator: Operator, packed: Any) -> None:
        given, tensors = operator.options, self._network.main.tensors
        filters = tensors[operator.inputs[1]]
        words = filters.shape[3]
        channels = given["channels_in"] // max(1, bits.words(given["channels_in"]) // words)
        negative = bits.unpack(np.ascontiguousarray(filters.value(), dtype=np.int32), channels)
        fan_in = math.prod(negative.shape[1:])
        if operator.inputs[2] >= 0 and operator.inputs[3] >= 0:
            scale, bias = (np.asarray(tensors[i].value(), np.float32) for i in operator.inputs[2:4])
        else:  # bits out
            scale = np.full(filters.shape[0], 1 / math.sqrt(fan_in), np.float32)
            bias = np.zeros(filters.shape[0], np.float32)
        weights = np.where(negative, -1, 1).astype(np.float32) * scale.reshape(-1, 1, 1, 1)
        packed.inputs = [
            packed.inputs[0],
            self._constant(f"{filters.name}/weights", weights.astype(np.float32)),
            self._constant(f"{filters.name}/bias", bias),
        ]
        options = self._schema.Conv2DOptionsT()
        options.padding = given["padding"]
        options.strideH, options.strideW = given["stride_height"], given["stride_width"]
        options.dilationHFactor, options.dilationWFactor = (
            given["dilation_height_factor"],
            given["dilation_width_factor"],
        )
        options.fusedActivationFunction = given["fused_activation_function"]
        self._become(packed, "CONV_2D", "Conv2DOptions", options, operator.outputs[0])

    def _constant(self, name: str, values: np.ndarray[Any, np.dtype[np.float32]]) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.hasRank = name, _FLOAT32, list(values.shape), True
        tensor.buffer = rewrite.put_constant(self._model, values.astype("<f4").tobytes())
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _become(self, packed: Any, operator: str, table: str, options: Any, output: int) -> None:
        code = self._schema.OperatorCodeT()
        code.version = 1
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self._schema.BuiltinOperator, operator)
        self._model.operatorCodes.append(code)
        packed.opcodeIndex = len(self._model.operatorCodes) - 1
        packed.customOptions = None
        packed.builtinOptionsType, packed.builtinOptions = getattr(self._schema.BuiltinOptions, table), options
        tensor = self._graph.tensors[output]
        tensor.type, tensor.quantization = _FLOAT32, None
        if output in self._channels:
            tensor.shape = [*self._network.main.tensors[output].shape[:-1], self._channels[output]]
            tensor.shapeSignature = None
