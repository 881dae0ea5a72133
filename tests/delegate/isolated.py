"""Runs models in a process of its own, so that a crash or a hang is an outcome like any other.

    with Worker("delegate") as worker:
        outcome = worker.run(model, inputs)

Engines: "delegate" (stock interpreter and ours), "unfused" (with fuse=0), "stock" (no delegate), "LCE reference",
"LCE optimised", "LCE indirect".
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from . import lce

Array = npt.NDArray[Any]
TIMEOUT_S = 20.0
MEMORY_BYTES = 8 << 30
LARGEST_INPUT_BYTES = 1 << 26
HEADER = struct.Struct("<q")
LCE_KERNELS = {"LCE reference": lce.REFERENCE, "LCE optimised": lce.OPTIMISED, "LCE indirect": lce.INDIRECT}


@dataclass(frozen=True)
class Outcome:
    """kind: "ok", "error" (an exception, see `message`), "crash" or "hang"."""

    kind: str
    message: str = ""
    outputs: list[Array] = field(default_factory=list)


class Worker:
    """A process that runs models one by one; started anew after a crash or a hang."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, model: bytes, inputs: Sequence[Array]) -> Outcome:
        """Load, allocate, set the inputs (reshaped to what the model asks), invoke."""
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None and self._process.stdout is not None
        job = pickle.dumps((model, list(inputs)))
        try:
            self._process.stdin.write(HEADER.pack(len(job)) + job)
            self._process.stdin.flush()
            answer = _receive(self._process.stdout, TIMEOUT_S)
        except TimeoutError:
            self._end()
            return Outcome("hang", f"no answer within {TIMEOUT_S:.0f} s")
        except (BrokenPipeError, EOFError):
            code = self._process.wait()
            self._end()
            return Outcome("crash", f"exit code {code}")
        outcome: Outcome = pickle.loads(answer)
        return outcome

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__, self.engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None


def _receive(pipe: BinaryIO, timeout_s: float | None) -> bytes:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            if timeout_s is not None and not select.select([pipe], [], [], timeout_s)[0]:
                raise TimeoutError
            part = os.read(pipe.fileno(), count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    (size,) = HEADER.unpack(exactly(HEADER.size))
    return exactly(size)


def _interpret(delegates: list[Any]) -> Callable[[bytes, list[Array]], list[Array]]:
    from ai_edge_litert.interpreter import Interpreter

    def run(model: bytes, inputs: list[Array]) -> list[Array]:
        interpreter = Interpreter(model_content=model, experimental_delegates=delegates, num_threads=1)
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), inputs, strict=False):
            shape, kind = tuple(detail["shape"]), np.dtype(detail["dtype"])
            if np.prod(shape, dtype=np.float64) * kind.itemsize > LARGEST_INPUT_BYTES:
                raise ValueError(f"the model wants an input of shape {shape}")
            interpreter.set_tensor(detail["index"], np.resize(value, shape).astype(kind))
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    return run


def _engine(name: str) -> Callable[[bytes, list[Array]], list[Array]]:
    if name in LCE_KERNELS:
        return lambda model, inputs: lce.run(model, inputs, kernel=LCE_KERNELS[name])
    if name == "stock":
        return _interpret([])
    from edgebnn.delegate.loader import load_delegate

    return _interpret([load_delegate(fuse=0 if name == "unfused" else 1)])


def _serve(name: str) -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")
    run = _engine(name)
    while True:
        try:
            model, inputs = pickle.loads(_receive(sys.stdin.buffer, None))
        except EOFError:
            return
        try:
            outcome = Outcome("ok", outputs=run(model, inputs))
        except Exception as error:
            outcome = Outcome("error", f"{type(error).__name__}: {error}")
        answer = pickle.dumps(outcome)
        answers.write(HEADER.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    # Under this name the module exists twice; answers must carry the class that the parent knows.
    from importlib import import_module

    module = import_module(__spec__.name)
    module._serve(sys.argv[1])
