"""The implementations that are compared, behind one interface: arrays in, arrays out, in the graph's own order."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgebnn.delegate.loader import load_delegate
from edgebnn.errors import DelegateError, MissingExtraError, ModelError
from edgebnn.inspection.graph import Network, Operator
from edgebnn_convert.quiet import captured_stderr

Array = npt.NDArray[Any]

LCE_EXTENSION = "larq_compute_engine.tflite.python.interpreter_wrapper_lite"
_SAME = 0  # the schema's Padding


class Runner(Protocol):
    """A loaded model."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs in the order of the main graph's outputs, for inputs in the order of its inputs."""


class Engine(Protocol):
    """Something that loads models."""

    name: str

    def load(self, model: bytes, network: Network) -> Runner:
        """A runner; ModelError when it refuses the model. `network` is the whole model that `model` is a part of."""


class Lce:
    """Larq Compute Engine's interpreter, the oracle; loads without TensorFlow."""

    name = "LCE"

    def __init__(self) -> None:
        """MissingExtraError where LCE is not installed."""
        self._module = _lce_extension()

    def load(self, model: bytes, network: Network) -> Runner:
        """The reference kernel wherever it is right, else the default or the indirect one."""
        problem = ""
        for reference, indirect in _kernels(network):
            try:
                return _LceRunner(self._module.LiteInterpreter(model, 1, reference, indirect, False))
            except (RuntimeError, ValueError) as error:
                problem = problem or _one_line(error)
        raise ModelError(f"LCE's interpreter refuses the model: {problem}")


class _LceRunner:
    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            return [np.array(output) for output in self._interpreter.predict(list(inputs))]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"LCE's interpreter fails: {_one_line(error)}") from error


class Stock:
    """LiteRT's unmodified interpreter with the edgebnn delegate."""

    def __init__(self, kernel: str = "auto") -> None:
        """`kernel` is the delegate's option: auto, portable or reference."""
        self.name = "delegate" if kernel == "auto" else f"delegate ({kernel} kernels)"
        self._kernel = kernel

    def load(self, model: bytes, network: Network) -> Runner:
        """The delegate takes the binary operators, XNNPACK and the builtin kernels the others."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with captured_stderr():  # "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
                delegates = [load_delegate(num_threads=1, kernel=self._kernel)]
                interpreter = Interpreter(model_content=model, num_threads=1, experimental_delegates=delegates)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            if isinstance(error, DelegateError):
                raise
            raise ModelError(f"LiteRT with the edgebnn delegate refuses the model: {_one_line(error)}") from error
        return _StockRunner(interpreter)


class _StockRunner:
    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = interpreter.get_input_details()
        self._outputs = [int(detail["index"]) for detail in interpreter.get_output_details()]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            for detail, array in zip(self._inputs, inputs, strict=True):
                if tuple(detail["shape"]) != array.shape:
                    self._interpreter.resize_tensor_input(detail["index"], array.shape)
                    self._interpreter.allocate_tensors()
            for detail, array in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(detail["index"], array)
            self._interpreter.invoke()
            return [np.array(self._interpreter.get_tensor(index)) for index in self._outputs]
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"LiteRT with the edgebnn delegate fails: {_one_line(error)}") from error


def lce_limit(network: Network) -> str | None:
    """Why no kernel of LCE computes some LceBconv2d as defined, None when each is computed right by one.

    All limits are those of SAME with pad value 0. The reference kernel reads a multiplier that bitpacked output may not
    have (and crashes), and wants an even number of input channels; the others leave out corrections where a window
    reaches over one side of the picture and to the other.
    """
    tensors = network.main.tensors
    for operator in network.main.operators:
        if not _pads_with_zero(operator):
            continue
        options, (x, filters) = operator.options, (tensors[i] for i in operator.inputs[:2])
        if tensors[operator.outputs[0]].dtype == "int32" and operator.inputs[2] < 0:
            return f"LceBconv2d {operator.index} has bitpacked output, pad value 0 and no multiplier"
        if options.get("channels_in", 0) % 2 == 0:
            continue
        for axis, side in ((1, "height"), (2, "width")):
            span = (filters.shape[axis] - 1) * options.get(f"dilation_{side}_factor", 1) + 1
            if _reaches_over(x.shape[axis], span, max(1, options.get(f"stride_{side}", 1))):
                return (
                    f"LceBconv2d {operator.index} has pad value 0, an odd number of input channels, and windows of "
                    f"{side} {span} on a {side} of {x.shape[axis]}"
                )
    return None


def _reaches_over(size: int, span: int, stride: int) -> bool:
    """Whether a SAME window of `span` pixels sticks out on one side of the axis and reaches the other."""
    count = -(-size // stride)
    before = max(0, (count - 1) * stride + span - size) // 2
    overhangs = [(before - i * stride, i * stride - before + span - size) for i in range(count)]
    return any(min(pair) >= 0 and max(pair) > 0 for pair in overhangs)


def _pads_with_zero(operator: Operator) -> bool:
    options = operator.options if operator.name == "LceBconv2d" and len(operator.inputs) > 2 else {}
    return options.get("padding") == _SAME and not options.get("pad_values")


def _kernels(network: Network) -> list[tuple[bool, bool]]:
    """(use_reference_bconv, use_indirect_bgemm) in the order to try.

    LCE's reference kernel refuses SAME with pad value 0 and an odd number of input channels; its default kernel fails
    for groups.
    """
    reference, default, indirect = (True, False), (False, False), (False, True)
    if any(_pads_with_zero(o) and o.options.get("channels_in", 0) % 2 for o in network.main.operators):
        return [default, indirect]
    return [reference, default, indirect]


def _lce_extension() -> ModuleType:
    """LCE's interpreter extension, without importing the package around it (which imports TensorFlow)."""
    if LCE_EXTENSION in sys.modules:
        return sys.modules[LCE_EXTENSION]
    spec = importlib.util.find_spec("larq_compute_engine")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [file for folder in folders for file in Path(folder).glob("tflite/python/interpreter_wrapper_lite*.so")]
    if not files:
        raise MissingExtraError(
            "Larq Compute Engine is not installed: it has wheels for Python 3.10 to 3.12 on x86_64, "
            "`pip install 'edgebnn[train]'` there"
        )
    loader = importlib.machinery.ExtensionFileLoader(LCE_EXTENSION, str(files[0]))
    module_spec = importlib.util.spec_from_file_location(LCE_EXTENSION, files[0], loader=loader)
    assert module_spec is not None
    try:
        module = importlib.util.module_from_spec(module_spec)
        loader.exec_module(module)
    except ImportError as error:
        raise MissingExtraError(f"Larq Compute Engine does not load here: {error}") from None
    sys.modules[LCE_EXTENSION] = module
    return module


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
