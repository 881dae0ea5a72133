"""report.html of a training run: figures of every epoch, health of every binary layer, examples, in one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.training.checkpoints import write_atomically
from edgebnn.training.task import Example

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
svg, img { max-width: 100%; height: auto; } figure { display: inline-block; margin: 0 1rem 1rem 0; }
figcaption { font-size: 0.85rem; color: #555; } table { border-collapse: collapse; }
td, th { padding: 0.15rem 0.8rem 0.15rem 0; text-align: right; } td:first-child, th:first-child { text-align: left; }
.warning { color: #a03000; } pre { background: #f4f4f4; padding: 0.8rem; overflow-x: auto; }
"""
_NOT_PLOTTED = {"epoch", "step", "rate"}


def write_report(
    file: Path,
    *,
    title: str,
    summary: Mapping[str, str],
    recipe: str,
    history: Sequence[Mapping[str, float]],
    health: Sequence[Sequence[Mapping[str, Any]]],
    warnings: Sequence[str],
    examples: Sequence[Example] = (),
) -> None:
    """Write the page atomically.

    `history` has a row an epoch, with at least epoch, step and rate; `health` has for each of them the rows of its
    binary layers (`LayerHealth.as_json`). `recipe` is shown as it is.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", _table(summary.items())]
    parts.append("<h2>Warnings</h2>")
    parts += [f'<p class="warning">{html.escape(warning)}</p>' for warning in warnings] or ["<p>None.</p>"]
    if history:
        parts += ["<h2>Course</h2>", *_course(history)]
    if any(health):
        parts += ["<h2>Binary layers</h2>", *_layers(health)]
    if examples:
        parts += ["<h2>Examples</h2>", *(_picture(caption, picture) for caption, picture in examples)]
    parts += ["<h2>Recipe</h2>", f"<pre>{html.escape(recipe)}</pre>"]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )

    def write(partial: Path) -> None:
        partial.write_text(page, encoding="utf-8")

    write_atomically(file, write)


def _course(history: Sequence[Mapping[str, float]]) -> Iterator[str]:
    epochs = [row["epoch"] for row in history]
    names = [name for name in history[-1] if name not in _NOT_PLOTTED]
    losses = [name for name in names if "loss" in name]
    others = [name for name in names if name not in losses]
    for names, label in ((losses, "loss"), (others, "figures of training and validation"), (["rate"], "learning rate")):
        curves = {name: [row.get(name, float("nan")) for row in history] for name in names}
        if curves:
            yield _curves(epochs, curves, label, logarithmic=names == ["rate"])
    yield _table(((name, f"{history[-1][name]:.4g}") for name in history[-1]), head=("last epoch", ""))


def _layers(health: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    epochs = list(range(1, len(health) + 1))
    layers = [one["layer"] for one in health[-1]]
    for key, label in (
        ("flips", "share of signs that flipped since the epoch before"),
        ("saturated", "share of latent weights at -1 or +1"),
        ("constant", "share of input channels whose sign is the same everywhere"),
    ):
        curves = {
            layer: [_number(one[key]) for rows in health for one in rows if one["layer"] == layer] for layer in layers
        }
        if all(len(values) == len(epochs) for values in curves.values()):
            yield _curves(epochs, curves, label)
    yield _histograms(health[-1])


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _curves(
    epochs: Sequence[float], curves: Mapping[str, Sequence[float]], label: str, *, logarithmic: bool = False
) -> str:
    figure, axes = _figure()
    for name, values in curves.items():
        axes.plot(epochs, values, marker="." if len(epochs) < 20 else "", label=name)
    axes.set(xlabel="epoch", yscale="log" if logarithmic else "linear")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(curves) > 1:
        axes.legend(fontsize=7, ncols=2 if len(curves) > 6 else 1)
    return _svg(figure, label)


def _histograms(layers: Sequence[Mapping[str, Any]]) -> str:
    figure, axes = _figure()
    for one in layers:
        counts = np.asarray(one["histogram"], float)
        edges = np.linspace(-1, 1, counts.size + 1)
        axes.stairs(counts / max(counts.sum(), 1), edges, label=one["layer"])
    axes.set(xlabel="latent weight", ylabel="share of the layer's weights")
    axes.legend(fontsize=7, ncols=2 if len(layers) > 6 else 1)
    return _svg(figure, "latent weights after the last epoch")


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _svg(figure: Any, caption: str) -> str:
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": caption}):  # the same run gives the same page
        figure.savefig(out, format="svg", metadata={"Date": None})
    drawing = out.getvalue()
    return f"<figure>{drawing[drawing.index('<svg') :]}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _picture(caption: str, picture: npt.NDArray[np.uint8]) -> str:
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    data = base64.b64encode(jpeg.tobytes()).decode()
    shown = html.escape(caption)
    return f'<figure><img alt="{shown}" src="data:image/jpeg;base64,{data}"><figcaption>{shown}</figcaption></figure>'


def _table(rows: Any, *, head: tuple[str, str] | None = None) -> str:
    lines = [f"<tr><th>{html.escape(head[0])}</th><th>{html.escape(head[1])}</th></tr>"] if head else []
    lines += [f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(str(value))}</td></tr>" for key, value in rows]
    return f"<table>{''.join(lines)}</table>"
