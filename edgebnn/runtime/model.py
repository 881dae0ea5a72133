"""A .tflite on the device: any graph by arrays, a detector by pictures."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgebnn.card import Card, Preprocess, read_card
from edgebnn.errors import InputError, ModelError
from edgebnn.runtime.detections import Detections, decode
from edgebnn.runtime.turned import turned

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Tensor = npt.NDArray[Any]
MOST_TENSOR_BYTES = 2 << 30


class Port(NamedTuple):
    """An input or output of a model; a real value is (stored - zero_point) * scale where scale is not 0."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    tensor: int

    def __str__(self) -> str:
        """For error messages."""
        return f"{self.dtype} {self.shape}"


class Model:
    """A .tflite model in a stock LiteRT interpreter with the edgebnn delegate; LCE ops included.

    `path` is a file or the name of a packaged model ("face"); `delegate_options` go to `edgebnn.load_delegate`.
    One Model may be called from several threads: calls take turns. Use one Model a thread to run them at once.
    """

    def __init__(self, path: str | Path, *, num_threads: int = 1, **delegate_options: Any) -> None:
        """Load the model; ModelError when it is missing, damaged, newer, or not what its card says."""
        if not isinstance(num_threads, int) or num_threads < 1:
            raise InputError(f"expected num_threads of at least 1, got {num_threads!r}")
        name, self._content = read_model(path)
        self.card: Card | None = read_card(self._content)
        self._graph = _Graph(_load(name, self._content, num_threads, delegate_options))
        self.inputs, self.outputs = self._graph.inputs, self._graph.outputs
        self._detector = None
        if self.card is not None and self.card.task == "detect":

            def load_turned() -> _Graph:
                return _Graph(_load(f"{name}, turned,", turned(self._content), num_threads, delegate_options))

            self._detector = _Detector(self.card, self._graph, load_turned)
        self._turn = threading.Lock()
        self.latency_ms = math.nan
        """Wall-clock time of the last inference; nan before the first."""
        self.stage_ms: dict[str, float] = {}
        """Process CPU time of the last `detect`: {"preprocess": ..., "inference": ..., "decode": ...}."""

    def run(self, *arrays: Tensor) -> tuple[Tensor, ...]:
        """Outputs for `arrays`, both in the order of `inputs` and `outputs` (the signature's, as LiteRT lists it).

        InputError unless each array has its input's dtype and shape.
        """
        if len(arrays) != len(self.inputs):
            raise InputError(f"expected {len(self.inputs)} arrays ({_list(self.inputs)}), got {len(arrays)}")
        for array, port in zip(arrays, self.inputs, strict=True):
            got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            if got != str(port):
                raise InputError(f"expected {port} for input {port.name!r}, got {got}")
        with self._turn:
            for array, port in zip(arrays, self.inputs, strict=True):
                self._graph.interpreter.set_tensor(port.tensor, np.ascontiguousarray(array))
            outputs, self.latency_ms = self._graph.invoke()
            return outputs

    def detect(self, rgb_frame: npt.NDArray[np.uint8], *, min_score: float | None = None) -> Detections:
        """What is in a picture (H, W, 3), for models whose card says task "detect"; boxes in frame pixels.

        `min_score`, 0..1 exclusive, defaults to the card's. Where the card says that the input turns, the first picture
        of the other orientation takes longer: the network is loaded once more, turned, and stays in memory so.
        """
        if self._detector is None:
            task = "no card" if self.card is None else f"a card of task {self.card.task!r}"
            raise ModelError(f"expected a model whose card says task 'detect', this one has {task}: use run()")
        with self._turn:
            found, self.latency_ms, self.stage_ms = self._detector(rgb_frame, min_score)
            return found


class _Graph:
    """An interpreter and the names of what goes in and comes out."""

    def __init__(self, interpreter: Any) -> None:
        self.interpreter = interpreter
        self.inputs, self.outputs = _ports(interpreter)

    def invoke(self) -> tuple[tuple[Tensor, ...], float]:
        """The outputs, and the wall-clock time in milliseconds."""
        started = time.perf_counter_ns()
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(f"the model failed on this input: {_sentence(error)}") from error
        elapsed_ms = (time.perf_counter_ns() - started) / 1e6
        return tuple(self.interpreter.get_tensor(port.tensor) for port in self.outputs), elapsed_ms


class _Detector:
    """The stages of a detector: frame -> input tensor -> output maps -> boxes in frame pixels."""

    def __init__(self, card: Card, graph: _Graph, load_turned: Callable[[], _Graph]) -> None:
        from edgebnn.runtime.preprocess import input_table

        assert card.preprocess is not None and card.decode is not None
        self._frame, self._decode, self._load_turned = card.preprocess, card.decode, load_turned
        self._graphs: dict[Preprocess, _Graph | ModelError] = {self._frame: graph}
        self._check(graph, self._frame)
        port = graph.inputs[0]
        if port.dtype not in (np.float32, np.int8, np.uint8) or (port.dtype != np.float32 and port.scale == 0):
            raise ModelError(f"expected an input of float32, or int8 or uint8 with a scale, the model has {port}")
        self._table = input_table(
            port.dtype, self._frame.mean, self._frame.std, scale=port.scale or 1, zero_point=port.zero_point
        )

    def _check(self, graph: _Graph, frame: Preprocess) -> None:
        expected = (1, frame.height, frame.width, 3)
        if len(graph.inputs) != 1 or graph.inputs[0].shape != expected:
            raise ModelError(
                f"the card says one input {expected}, the model has {_list(graph.inputs)}: convert it again"
            )
        outputs = {port.name: port for port in graph.outputs}
        for level in self._decode.levels:
            shape = (1, -(-frame.height // level.stride), -(-frame.width // level.stride), 5)
            got = outputs.get(level.output)
            if got is None or got.shape != shape:
                have = _list(graph.outputs)
                raise ModelError(
                    f"the card says an output {level.output!r} of {shape}, the model has {have}: convert again"
                )

    def _graph_for(self, frame: Preprocess) -> _Graph:
        """The graph that takes `frame`, made when it is first wanted; a failure is not tried again."""
        if frame not in self._graphs:
            try:
                graph = self._load_turned()
                self._check(graph, frame)
                self._graphs[frame] = graph
            except ModelError as error:
                self._graphs[frame] = ModelError(
                    "the model cannot turn to a picture of this orientation, as its card says it does: convert it "
                    f"again, without turns if need be ({error})"
                )
        graph_or_error = self._graphs[frame]
        if isinstance(graph_or_error, ModelError):
            raise graph_or_error.with_traceback(None)  # else it grows with every picture
        return graph_or_error

    def __call__(
        self, picture: npt.NDArray[np.uint8], min_score: float | None
    ) -> tuple[Detections, float, dict[str, float]]:
        """What is found, the inference's wall-clock time, and the CPU time of each stage, in milliseconds."""
        from edgebnn.runtime.preprocess import apply_table, check_frame, letterbox, to_frame

        threshold = self._decode.min_score if min_score is None else check_score(min_score)
        check_frame(picture)
        height, width = picture.shape[:2]
        frame = self._frame.for_picture(width, height)
        graph = self._graph_for(frame)
        clock = [time.process_time_ns()]
        image, scale, shift = letterbox(picture, frame.width, frame.height, frame.pad)
        # Into the interpreter's own memory. No view of it is kept: the interpreter may move it.
        apply_table(image, self._table, graph.interpreter.tensor(graph.inputs[0].tensor)()[0])
        clock.append(time.process_time_ns())
        values, latency_ms = graph.invoke()
        clock.append(time.process_time_ns())
        maps = {port.name: _real(value, port) for port, value in zip(graph.outputs, values, strict=True)}
        boxes, scores = decode(maps, self._decode, min_score=threshold)
        boxes, kept = to_frame(boxes, scale, shift, width=width, height=height)
        found = Detections(boxes, scores[kept], np.zeros(len(kept), np.int64))
        clock.append(time.process_time_ns())
        stages = ("preprocess", "inference", "decode")
        return found, latency_ms, {name: (clock[i + 1] - clock[i]) / 1e6 for i, name in enumerate(stages)}


def check_score(score: float) -> float:
    """`score` itself; InputError unless it lies between 0 and 1."""
    if not 0 < score < 1:
        raise InputError(f"expected a least score between 0 and 1, both excluded, got {score}")
    return score


def read_model(path: str | Path) -> tuple[str, bytes]:
    """Name and bytes of a model file, or of the model of that name in the package; a file wins."""
    file: Path | Traversable = Path(path)
    packaged = resources.files("edgebnn") / "weights" / f"{path}.tflite"
    if not Path(path).exists() and len(Path(path).parts) == 1 and packaged.is_file():
        file = packaged
    try:
        return file.name, file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        names = ", ".join(packaged_models()) or "none"
        raise ModelError(
            f"cannot read the model {path}: {reason}; expected a .tflite file or the name of a packaged model ({names})"
        ) from None
    except ValueError as error:
        raise ModelError(f"cannot read the model {str(path)!r}: {error}") from None


def packaged_models() -> list[str]:
    """Names of the models inside the package."""
    folder = resources.files("edgebnn") / "weights"
    if not folder.is_dir():
        return []
    return sorted(file.name.removesuffix(".tflite") for file in folder.iterdir() if file.name.endswith(".tflite"))


def _load(name: str, content: bytes, num_threads: int, delegate_options: dict[str, Any]) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    from edgebnn.delegate.loader import load_delegate

    delegate = load_delegate(num_threads=num_threads, **delegate_options)
    try:
        interpreter = Interpreter(model_content=content, num_threads=num_threads, experimental_delegates=[delegate])
        _check_memory(interpreter, name)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"the interpreter refuses {name}: {_sentence(error)}") from error
    return interpreter


def _check_memory(interpreter: Any, name: str) -> None:
    """Refuse a network that no device of ours could hold: of a damaged shape, allocation would take minutes."""
    needed = sum(
        math.prod(map(int, tensor["shape"])) * np.dtype(tensor["dtype"]).itemsize
        for tensor in interpreter.get_tensor_details()
    )
    if needed > MOST_TENSOR_BYTES:
        raise ModelError(
            f"the tensors of {name} would take {needed >> 20} MiB, more than {MOST_TENSOR_BYTES >> 20}:"
            " the file is damaged, or the network not one for a small board"
        )


def _ports(interpreter: Any) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs by the names and in the order of the signature; without one, of the graph's tensors.

    The names matter: LCE's converter reorders the outputs of the graph, and only the signature keeps them apart.
    """
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for key in sorted(interpreter.get_signature_list(), key=lambda key: key != "serving_default"):
        runner = interpreter.get_signature_runner(key)
        named_inputs, named_outputs = runner.get_input_details(), runner.get_output_details()
        if _indices(named_inputs.values()) == _indices(inputs) and _indices(named_outputs.values()) == _indices(
            outputs
        ):
            return (
                tuple(_port(name, detail) for name, detail in named_inputs.items()),
                tuple(_port(name, detail) for name, detail in named_outputs.items()),
            )
    return (
        tuple(_port(detail["name"], detail) for detail in inputs),
        tuple(_port(detail["name"], detail) for detail in outputs),
    )


def _indices(details: Any) -> set[int]:
    return {int(detail["index"]) for detail in details}


def _port(name: str, detail: dict[str, Any]) -> Port:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    return Port(name, shape, np.dtype(detail["dtype"]), float(scale), int(zero_point), int(detail["index"]))


def _real(value: Tensor, port: Port) -> npt.NDArray[np.float32]:
    if value.dtype.kind == "f" or port.scale == 0:
        return value.astype(np.float32, copy=False)
    return (value.astype(np.float32) - np.float32(port.zero_point)) * np.float32(port.scale)


def _list(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{port.name}: {port}" for port in ports)


def _sentence(error: Exception) -> str:
    """The interpreter's message in one line."""
    return " ".join(str(error).split()) or type(error).__name__
