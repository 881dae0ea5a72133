"""The figures of docs/bnn.md, computed by the code that they explain.

    .venv/bin/python scripts/bnn_figures.py [NAME ...]      # docs/figures/NAME.png; all without names

Needs the extras [train] and [dev].
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import matplotlib
import numpy as np
import tensorflow as tf

from edgebnn.bits import pack, pack_planes, planes_dot, unpack
from edgebnn.config import read_toml
from edgebnn.data.examples import read_digits
from edgebnn.data.pictures import read_rgb
from edgebnn.models.shift_norm import ShiftBatchNormalization, ap2
from edgebnn.quantizers import StochasticSign, hard_sigmoid
from edgebnn.training.classification import Classification, classification_loss
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.optimizers import ShiftAdaMaxStep, glorot_scale
from edgebnn.training.rates import exponential
from edgebnn.training.workers import Workers

matplotlib.use("Agg")
from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent.parent / "docs/figures"
FIGURES: dict[str, Callable[[], Any]] = {}
BLUE, ORANGE, GREEN, GREY = "#2166ac", "#d6604d", "#1b7837", "#888888"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


def figure(draw: Callable[[], Any]) -> Callable[[], Any]:
    """Register a function that returns a figure under its name."""
    FIGURES[draw.__name__] = draw
    return draw


def digits_task(name: str, **changes: dict[str, Any]) -> Classification:
    """The task of a packaged recipe for digits."""
    raw = read_toml(Path(str(files("edgebnn.training") / f"recipes/{name}.toml")))
    del raw["smoke"]
    for key, value in changes.items():
        raw[key] = raw.get(key, {}) | value
    return Classification(ClassificationRecipe.model_validate(raw), read_digits(), data=(), workers=Workers())


@figure
def binarization() -> Any:
    """Deterministic and stochastic sign."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
    x = np.linspace(-2, 2, 401).astype(np.float32)
    sign = lq.quantizers.SteSign()(tf.constant(x)).numpy()
    for part in (x < 0, x >= 0):
        left.plot(x[part], sign[part], color=BLUE)
    left.plot([0], [1], "o", color=BLUE, markersize=5)
    left.plot([0], [-1], "o", color="white", markeredgecolor=BLUE, markersize=5)
    left.set(title="deterministic: sign, sign(0) = +1", xlabel="x", ylabel="output", yticks=[-1, 0, 1])
    levels = np.linspace(-1.6, 1.6, 17)
    drawn = StochasticSign(seed=1)(tf.constant(np.repeat(levels[:, None], 200, 1), tf.float32), training=True).numpy()
    right.plot(x, hard_sigmoid(tf.constant(x)), color=ORANGE, label="p = clip((x + 1) / 2, 0, 1)")
    right.plot(levels, (drawn == 1).mean(axis=1), "o", color=BLUE, markersize=4, label="share of +1 in 200 draws")
    right.set(title="stochastic: +1 with probability p", xlabel="x", ylabel="p", yticks=[0, 0.5, 1], xlim=(-2, 3.6))
    right.legend(loc="lower right", fontsize=8)
    return shape


@figure
def straight_through() -> Any:
    """What takes the place of the sign's gradient."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), gridspec_kw={"width_ratios": [1, 1]})
    x = tf.constant(np.linspace(-1.6, 1.6, 641).astype(np.float32))

    def slope(quantizer: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(quantizer(x))
        return tape.gradient(y, x)

    for name, colour in (("ste_sign", BLUE), ("approx_sign", ORANGE), ("swish_sign", GREEN)):
        left.plot(x, slope(lq.quantizers.get(name)), color=colour, label=name)
    left.set(title="gradient that is used for the sign", xlabel="x", ylabel="d output / d x")
    left.legend(fontsize=8)
    right.plot(x, np.clip(x, -1, 1), color=BLUE, label="ste_sign: clip(x, -1, 1)")
    step = float(x[1] - x[0])
    for name, colour in (("approx_sign", ORANGE), ("swish_sign", GREEN)):
        area = np.cumsum(slope(lq.quantizers.get(name))) * step
        right.plot(x, area - area[len(area) // 2], color=colour, label=name)
    right.plot(x, np.where(x >= 0, 1, -1), color=GREY, linewidth=0.8, label="sign")
    right.set(title="the function that has this gradient", xlabel="x", yticks=[-1, 0, 1])
    return shape


@figure
def latent_weights() -> Any:
    """Latent weights of the second hidden layer of digits-mlp during training."""
    task = digits_task("digits-mlp", schedule={"epochs": 20})
    kernel = task.network.get_layer("dense2").kernel
    paths, start, flips = [], kernel.numpy().ravel(), []
    signs = start >= 0
    for step, batch in enumerate(task.batches(0, 20 * task.steps)):
        task.optimizer.learning_rate.assign(task.rate(step))
        task.step(step, batch)
        now = kernel.numpy().ravel()
        paths.append(now[:4000:500].copy())
        flips.append(100 * ((now >= 0) != signs).mean())
        signs = now >= 0
    shape, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 2.5))
    left.plot(np.array(paths), linewidth=0.8)
    left.axhline(0, color=GREY, linewidth=0.6)
    left.set(title="8 latent weights", xlabel="step", ylim=(-1.05, 1.05))
    bins = np.linspace(-1, 1, 41)
    middle.hist(start, bins, color=GREY, alpha=0.6, label="start")
    middle.hist(kernel.numpy().ravel(), bins, histtype="step", color=BLUE, label="epoch 20")
    middle.set(title="all 65,536 of the layer", xlabel="latent weight")
    middle.legend(fontsize=8, loc="upper center")
    right.plot(flips, color=ORANGE, linewidth=0.8)
    right.set(title="signs that flip in a step, %", xlabel="step", ylim=(0, None))
    return shape


@figure
def squared_hinge() -> Any:
    """The loss of one score."""
    shape, axes = plt.subplots(figsize=(4, 2.6))
    s = np.linspace(-2, 2, 401)
    scores = np.stack([s, np.full_like(s, -9)], axis=1).astype(np.float32)  # the other class is right by far
    losses = [float(classification_loss(tf.constant(row[None]), [0], kind="squared-hinge")) * 2 for row in scores]
    axes.plot(s, losses, color=BLUE, label="squared hinge, max(0, 1 - t s)$^2$")
    axes.plot(s, np.maximum(0, 1 - s), color=GREY, linewidth=1, label="hinge")
    axes.set(xlabel="t s: score times target (+1 or -1)", ylabel="loss")
    axes.legend(fontsize=8)
    return shape


@figure
def learning_rates() -> Any:
    """Glorot's scale by layer, and the decay."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.4))
    layers = [
        ("64 to 256 (digits-mlp)", (64, 256)),
        ("256 to 256 (digits-mlp)", (256, 256)),
        ("3x3, 32 to 64 (digits-cnn)", (3, 3, 32, 64)),
        ("4096 to 4096 (MNIST)", (4096, 4096)),
        ("3x3, 512 to 512 (CIFAR-10)", (3, 3, 512, 512)),
    ]
    scales = [glorot_scale(size) for _, size in layers]
    left.barh([name for name, _ in layers], scales, color=BLUE)
    left.bar_label(left.containers[0], fmt="%.0f", fontsize=8, padding=2)
    left.invert_yaxis()
    left.set(title="factor of the step, sqrt((in + out) / 1.5)", xlim=(0, 92))
    rates = [exponential(epoch, total=60, rate=3e-3, final_rate=3e-5) for epoch in range(60)]
    right.semilogy(range(1, 61), rates, color=ORANGE, drawstyle="steps-mid")
    right.set(title="rate by epoch (digits)", xlabel="epoch")
    return shape


@figure
def shift_norm() -> Any:
    """AP2, and shift-based against plain batch normalization."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
    x = np.linspace(-4.5, 4.5, 2001).astype(np.float32)
    left.plot(x, x, color=GREY, linewidth=0.8)
    left.plot(x, ap2(tf.constant(x)), color=BLUE, linewidth=1.2)
    left.set(title="AP2(x) = sign(x) 2^round(log2 |x|)", xlabel="x", yticks=[-4, -2, -1, 0, 1, 2, 4])
    values = np.random.default_rng(0).normal(3, 2.5, (400, 1)).astype(np.float32)
    plain = tf.keras.layers.BatchNormalization(epsilon=1e-4)(values, training=True)
    shifted = ShiftBatchNormalization()(values, training=True)
    right.plot([-3, 3], [-3, 3], color=GREY, linewidth=0.8)
    right.plot(plain, shifted, ".", color=ORANGE, markersize=2)
    right.set(title="400 values of one channel", xlabel="batch norm", ylabel="shift-based batch norm")
    return shape


@figure
def shift_adamax() -> Any:
    """Both optimizers on the same badly scaled quadratic."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
    curvature = tf.constant([1.0, 30.0])
    for optimizer, name, colour in (
        (tf.keras.optimizers.Adamax(2.0**-5, 1 - 2.0**-3, 1 - 2.0**-10), "AdaMax", GREY),
        (ShiftAdaMaxStep(2.0**-5), "shift-based AdaMax", BLUE),
    ):
        w = tf.Variable([1.3, 0.9])
        path, losses = [w.numpy()], []
        for _ in range(120):
            losses.append(float(tf.reduce_sum(curvature * w**2)))
            optimizer.apply_gradients([(2 * curvature * w, w)])
            path.append(w.numpy())
        left.plot(*np.array(path).T, color=colour, linewidth=1.2, marker=".", markersize=3, label=name)
        right.semilogy(losses, color=colour, label=name)
    left.set(title=r"$w_1^2 + 30 w_2^2$ from (1.3, 0.9)", xlabel="$w_1$", ylabel="$w_2$")
    left.legend(fontsize=8)
    right.set(title="loss", xlabel="step")
    return shape


@figure
def bit_planes() -> Any:
    """The first layer by planes, on a piece of the bundled photograph."""
    with as_file(files("edgebnn.samples") / "astronaut.jpg") as file:
        photograph = read_rgb(file)
    assert photograph is not None
    grey = photograph[60:188, 150:278].mean(axis=-1).round().astype(np.uint8)
    shape, axes = plt.subplots(2, 5, figsize=(7.4, 3.2))
    planes = pack_planes(grey)
    axes[0, 0].imshow(grey, cmap="gray", vmin=0, vmax=255)
    axes[0, 0].set_title("x")
    places = [*axes[0, 1:], *axes[1, :4]]
    for place, n in zip(places, range(7, -1, -1), strict=True):
        place.imshow(~unpack(planes[n], 128), cmap="gray", interpolation="nearest")
        place.set_title(f"bit {n}, counts {1 << n}")
    for place in axes.ravel()[:-1]:
        place.set_axis_off()
    negative = np.random.default_rng(0).random((200, 128)) < 0.5
    dots = planes_dot(planes[:, :40, None], pack(negative)[None], 128).ravel()
    exact = ((2 * grey[:40, None].astype(int) - 255) * np.where(negative, -1, 1)).sum(axis=-1).ravel()
    assert np.array_equal(dots, exact)
    axes[1, 4].plot(exact[::7], dots[::7], ".", color=BLUE, markersize=1)
    axes[1, 4].set(title="8,000 sums, all equal", xticks=[], yticks=[])
    axes[1, 4].set_xlabel("(2x - 255) . w", fontsize=8)
    axes[1, 4].set_ylabel("planes", fontsize=8)
    return shape


@figure
def training() -> Any:
    """Algorithm 1 at work: digits-mlp, seed 0."""
    shape, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
    kinds = {
        "float twin": ({"weights": "float", "activations": "float"}, GREY),
        "deterministic": ({}, BLUE),
        "stochastic activations": ({"activations": "stochastic"}, ORANGE),
    }
    for name, (model, colour) in kinds.items():
        task = digits_task("digits-mlp", model=model, optimizer={"glorot": "weights" not in model})
        losses, errors, running = [], [], []
        for step, batch in enumerate(task.batches(0, 60 * task.steps)):
            task.optimizer.learning_rate.assign(task.rate(step))
            running.append(float(task.step(step, batch)[0]))
            if len(running) == task.steps:
                losses.append(np.mean(running))
                errors.append(100 * (1 - task.validate()["accuracy"]))
                running = []
        left.semilogy(range(1, 61), losses, color=colour, label=name)
        right.plot(range(1, 61), errors, color=colour, label=name)
    left.set(title="squared hinge on training digits", xlabel="epoch")
    right.set(title="errors on validation digits, %", xlabel="epoch", ylim=(0, 12))
    right.legend(fontsize=8)
    return shape


@figure
def digits() -> Any:
    """Every run of docs/figures/digits.csv."""
    with (FOLDER / "digits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["variant"] for row in rows))
    shape, axes = plt.subplots(figsize=(7, 0.25 * len(names) + 0.9))
    for recipe, colour, offset in (("digits-mlp", ORANGE, 0.15), ("digits-cnn", BLUE, -0.15)):
        mine = [row for row in rows if row["recipe"] == recipe]
        y = [names.index(row["variant"]) + offset for row in mine]
        axes.plot([100 * float(row["test"]) for row in mine], y, "o", color=colour, markersize=4, label=recipe)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set(xlabel="test accuracy, % (359 digits: one digit is 0.28)")
    axes.legend(fontsize=8, loc="lower left")
    return shape


def main(names: list[str]) -> None:
    """Draw the named figures."""
    unknown = sorted(set(names) - set(FIGURES))
    if unknown:
        sys.exit(f"there is no figure {unknown[0]!r}: expected some of {', '.join(FIGURES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name in names or FIGURES:
            tf.keras.backend.clear_session()
            drawn = FIGURES[name]()
            drawn.tight_layout()
            drawn.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})
            plt.close(drawn)
            print(FOLDER / f"{name}.png", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
