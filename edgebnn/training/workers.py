"""Training on several machines: tf.distribute's MultiWorkerMirroredStrategy, configured by TF_CONFIG.

Every worker runs the same command and learns its share of each batch; gradients are summed before each update, so that
all hold the same weights. Worker 0, the chief, validates and writes the run folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.errors import ConfigError, DataError

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


class Workers:
    """The workers of a run; alone without a strategy."""

    def __init__(self, strategy: Any = None, *, index: int = 0, count: int = 1) -> None:
        """`index` of `count` is this process."""
        self._strategy, self.index, self.count = strategy, index, count

    @property
    def is_chief(self) -> bool:
        """Whether this process validates and writes."""
        return self.index == 0

    def scope(self) -> Any:
        """Context in which the variables of all workers are made."""
        return contextlib.nullcontext() if self._strategy is None else self._strategy.scope()

    def compile(self, step: Callable[..., Any]) -> Any:
        """`step`, from a worker's share of a batch to a tensor of figures, as a function that gives their mean."""
        if self._strategy is None:
            return tf.function(step, reduce_retracing=True)

        def run(*share: Any) -> Any:
            figures = self._strategy.run(step, args=share)
            return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, figures, axis=None)

        return tf.function(run, reduce_retracing=True)

    def share(self, size: int, *, name: str) -> range:
        """Which of a batch's `size` examples this worker learns; DataError when they cannot be shared out evenly."""
        if size % self.count:
            raise DataError(
                f"{name} = {size} cannot be shared by {self.count} workers: choose a multiple of {self.count}"
            )
        each = size // self.count
        return range(self.index * each, (self.index + 1) * each)

    def agree(self, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The chief's array; of the same shape and dtype (float32 or int64) everywhere."""
        if self._strategy is None:
            return value
        own = tf.constant(value if self.is_chief else np.zeros_like(value))
        agreed: npt.NDArray[Any] = _sum(self._strategy, own).numpy()
        return agreed

    def any(self, flag: bool) -> bool:
        """Whether it is true on any worker."""
        if self._strategy is None:
            return flag
        return bool(_sum(self._strategy, tf.constant(int(flag), tf.int64)).numpy())

    def check_same(self, what: bytes) -> None:
        """DataError, on all workers, unless each of them has what the chief has."""
        own = np.frombuffer(hashlib.sha256(what).digest(), np.int64)
        if self.any(not np.array_equal(self.agree(own), own)):
            raise DataError("the workers have different recipes or data: give all of them the same")

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Where all workers act together; DataError when one of them has gone."""
        try:
            yield
        except (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.InternalError,
            tf.errors.CancelledError,
        ) as error:
            if self._strategy is None:
                raise
            first = str(error).splitlines()[0][:200]
            raise DataError(f"another worker has gone or failed ({first}): start all again with --resume") from error


@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _sum(strategy: Any, value: Any) -> Any:
    return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, args=(value,)), axis=None)


def join_workers() -> Workers:
    """The workers that TF_CONFIG names, after all of them have come; one worker without it. ConfigError: it is wrong.

    To be called before anything else is asked of TensorFlow.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return Workers()
    addresses, index = _parse(text)
    if len(addresses) == 1:
        return Workers()
    for device in tf.config.list_physical_devices("GPU")[1:2]:  # one replica a process: start one for each GPU
        raise ConfigError(f"expected one GPU a worker, {device.name} is a second one: set CUDA_VISIBLE_DEVICES")
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"the workers {', '.join(addresses)} could not be joined: {first}") from None
    return Workers(strategy, index=index, count=len(addresses))


def _parse(text: str) -> tuple[Sequence[str], int]:
    """(addresses of the workers, which of them this is)."""
    try:
        config = json.loads(text)
        addresses, task = config["cluster"]["worker"], config["task"]
        index = task["index"]
        known = set(config["cluster"]) == {"worker"} and task["type"] == "worker"
        good = known and all(isinstance(address, str) for address in addresses) and 0 <= index < len(addresses)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise ConfigError(f"TF_CONFIG = {text[:200]!r}: expected workers and which of them this is, {_EXAMPLE}")
    return addresses, index
