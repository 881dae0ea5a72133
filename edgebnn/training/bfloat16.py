"""Training with convolutions in bfloat16 on CPUs that have it (AVX512_BF16, AMX): about 1.4 times as many crops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

# Slower in bfloat16 than in float32, conversions included (TensorFlow 2.19, oneDNN).
SLOW = (
    "DepthwiseConv2dNative",
    "DepthwiseConv2dNativeBackpropInput",
    "DepthwiseConv2dNativeBackpropFilter",
    "Select",
    "SelectV2",
    "Sign",
    "Abs",
)
OPTION = "auto_mixed_precision_onednn_bfloat16"
LISTS = "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_"


@contextmanager
def bfloat16(wanted: bool) -> Iterator[None]:
    """Where `wanted`, have TensorFlow's graph optimizer turn the convolutions of functions called here to bfloat16.

    Variables, their gradients, batch norm statistics and the loss stay float32; the network itself is unchanged and
    exports as ever. CPUs without bfloat16 instructions go on in float32.
    """
    if not wanted:
        yield
        return
    for key in ("ALLOWLIST_REMOVE", "CLEARLIST_REMOVE", "INFERLIST_REMOVE", "DENYLIST_ADD"):
        os.environ[LISTS + key] = ",".join(SLOW)
    tf.config.optimizer.set_experimental_options({OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({OPTION: False})
