"""The measurements in docs/converting.md.

    .venv/bin/python scripts/converting_tables.py int8 CHECKPOINT --data DIR   # a face detector's AP50, size, time
    .venv/bin/python scripts/converting_tables.py channels                     # channels that are no multiple of 32

CHECKPOINT has its card.json beside it; DIR is what `edgebnn evaluate` reads. Times are medians of interleaved rounds,
CPU time of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import tensorflow as tf
from edgebnn_convert.benchmark_networks import convert_network
from edgebnn_convert.calibration import read_samples
from edgebnn_convert.checkpoint import Checkpoint, load_checkpoint
from edgebnn_convert.convert import compile_model
from edgebnn_convert.embed import embed_card
from edgebnn_convert.prepare import prepare
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.rewrites.graph import read
from edgebnn_convert.rewrites.int8 import best_range, measure_ranges, quantize, split_activations

from edgebnn.bench import Candidate, LiteRt, draw_inputs, measure
from edgebnn.card import Card, parse_card
from edgebnn.evaluation.annotations import read_annotations
from edgebnn.evaluation.evaluate import measure as evaluate
from edgebnn.inspection.graph import parse
from edgebnn.runtime.model import Model

SAMPLES = 100  # training pictures for calibration, evenly out of all
SHIFTS = (-0.5, -0.25, 0, 0.25, 0.5)  # grey levels
CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96)


def whole_range(values: Any) -> tuple[float, float]:
    """Least to greatest value, 0 among them."""
    return min(0.0, float(values.min())), max(0.0, float(values.max()))


def with_int8_sums(loaded: Checkpoint, card: Card, folder: Path, choose: Any) -> bytes:
    """`convert --int8`, but the sums of residual branches are int8 too."""
    with captured_stderr():
        found = read(loaded.given)
        assert found is not None
        graph = split_activations(found)
        inputs = {name: tuple(size or 1 for size in value.shape) for name, value in graph.inputs.items()}
        samples = read_samples(folder, inputs, card.preprocess)
        model = quantize(graph, measure_ranges(graph, samples, sums=True, choose=choose)).build()
    return compile_model(replace(loaded, given=model))


def tabulate_int8(checkpoint: Path, data: Path, seconds: float) -> None:
    """A row a variant: AP50 in points on val and test together, bytes, CPU time.

    Signs flip with any change, so that a single AP50 is a draw: each is the mean over inputs shifted by parts of a grey
    level, with the least and the greatest.
    """
    card = parse_card((checkpoint.parent / "card.json").read_bytes())
    how = card.preprocess
    assert how is not None, "the table is of a detector"
    taught = read_annotations(data, split="train").pictures
    pictures = [one for split in ("val", "test") for one in read_annotations(data, split=split).pictures]
    with tempfile.TemporaryDirectory() as scratch:
        folder, file = Path(scratch) / "samples", Path(scratch) / "model.tflite"
        folder.mkdir()
        for number, one in enumerate(taught[:: max(1, len(taught) // SAMPLES)][:SAMPLES]):
            (folder / f"{number:04}{one.file.suffix}").symlink_to(one.file.resolve())
        plain = prepare(load_checkpoint(checkpoint), card, None)
        made = {"float32": compile_model(plain)}
        made["--int8"] = compile_model(prepare(load_checkpoint(checkpoint), card, folder))
        for choose, name in ((best_range, "least squared error"), (whole_range, "least to greatest value")):
            made[f"int8 sums too, {name}"] = with_int8_sums(plain, card, folder, choose)
        times = time_all(made, seconds)
        for name, content in made.items():
            found = []
            for shift in SHIFTS:
                moved = card.model_copy(update={"preprocess": how.model_copy(update={"mean": how.mean + shift})})
                file.write_bytes(embed_card(content, moved))
                found.append(evaluate(Model(file), pictures))
            ap50 = ((100 * one.ap50["all"][least] for one in found) for least in (24, 12))
            cells = [f"{statistics.mean(x):.1f} ({min(x):.1f} to {max(x):.1f})" for x in map(list, ap50)]
            print("|", " | ".join([name, *cells, f"{len(content):,} B", f"{times[name]:.2f} ms"]), "|", flush=True)
    print(f"{len(pictures)} pictures, faces of {found[0].faces['all']}; {len(list(taught))} training pictures")


def chain(channels: int) -> Any:
    """Four 3x3 binary convolutions on 32x32 pixels, bits between them."""
    options = {"padding": "same", "pad_values": 1, "use_bias": False, "kernel_constraint": "weight_clip"}
    x = values = tf.keras.Input((32, 32, channels), name="values")
    for _ in range(4):
        x = lq.layers.QuantConv2D(channels, 3, input_quantizer="ste_sign", kernel_quantizer="ste_sign", **options)(x)
        x = tf.keras.layers.BatchNormalization()(x)
    return tf.keras.Model(values, x)


def tabulate_channels(seconds: float) -> None:
    """A row a number of channels: CPU time and bytes."""
    files = {str(channels): convert_network(lambda c=channels: chain(c)) for channels in CHANNELS}
    for name, milliseconds in time_all(files, seconds).items():
        print(f"| {name} | {milliseconds:.3f} ms | {len(files[name]):,} B |")


def time_all(files: Mapping[str, bytes], seconds: float) -> dict[str, float]:
    """Median CPU milliseconds of each model with the delegate, one thread, taking turns."""

    def candidate(name: str, content: bytes) -> Candidate:
        ours, inputs = LiteRt(name, content, num_threads=1, delegate={}), draw_inputs(parse(content))
        ours.run(inputs)
        return Candidate(name, ours.invoke, lambda outputs: "")

    times = measure([candidate(name, content) for name, content in files.items()], seconds=seconds)
    print(f"medians of {min(len(each.cpu_ms) for each in times.values())} rounds")
    return {name: statistics.median(each.cpu_ms) for name, each in times.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for the timing")
    tables = parser.add_subparsers(dest="table", required=True)
    int8 = tables.add_parser("int8")
    int8.add_argument("checkpoint", type=Path)
    int8.add_argument("--data", type=Path, required=True)
    tables.add_parser("channels")
    wanted = parser.parse_args()
    if wanted.table == "int8":
        tabulate_int8(wanted.checkpoint, wanted.data, wanted.seconds)
    else:
        tabulate_channels(wanted.seconds)
