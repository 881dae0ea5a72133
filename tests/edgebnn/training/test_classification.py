"""A training step against algorithm 1 of Courbariaux et al. 2016, written anew in numpy."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.data.examples import Examples, ExampleSet
from edgebnn.training.classification import Classification, classification_loss
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.workers import Workers

import tensorflow as tf  # isort: skip

SIDE, CLASSES, BATCH, EPSILON = 4, 3, 50, 1e-4
RATE, FINAL = 0.02, 0.001


def task(**parts: object) -> Classification:
    random = np.random.default_rng(5)
    images = random.integers(0, 256, (BATCH, SIDE, SIDE, 1), np.uint8)
    examples = Examples(images, random.integers(0, CLASSES, BATCH))
    empty = Examples(images[:0], examples.labels[:0])
    raw = {
        "task": "classify",
        "name": "tiny",
        "input": {"width": SIDE, "height": SIDE, "channels": 1},
        "model": {"name": "binarynet", "dense": [8, 6], "bn_epsilon": EPSILON},
        "optimizer": {"rate": RATE, "final_rate": FINAL},
        "schedule": {"epochs": 4, "batch": BATCH, "seed": 3},
    }
    recipe = ClassificationRecipe.model_validate(raw | parts)
    return Classification(recipe, ExampleSet(tuple("abc"), examples, empty, empty), data=(), workers=Workers())


class Oracle:
    """Algorithm 1 in float64: W are the latent weights (in, out), theta = (gamma, beta)."""

    def __init__(self, network: tf.keras.Model) -> None:
        layers = [network.get_layer(name) for name in ("dense1", "dense2", "out")]
        norms = [network.get_layer(f"{layer.name}_bn") for layer in layers]
        self.W = [layer.kernel.numpy().astype(np.float64).reshape(-1, layer.filters) for layer in layers]
        self.theta = [[norm.gamma.numpy().astype(np.float64), norm.beta.numpy().astype(np.float64)] for norm in norms]
        self.state = {}

    def gradients(self, a0: np.ndarray, labels: np.ndarray) -> tuple[float, list[np.ndarray], list[list[np.ndarray]]]:
        """1.1 forward and 1.2 backward propagation."""
        L = len(self.W)
        a_b, Wb, s, a, xhat, deviation = [a0], [], [], [], [], []
        for k in range(L):
            Wb.append(np.where(self.W[k] >= 0, 1.0, -1.0))
            s.append(a_b[k] @ Wb[k])
            deviation.append(np.sqrt(s[k].var(axis=0) + EPSILON))
            xhat.append((s[k] - s[k].mean(axis=0)) / deviation[k])
            a.append(self.theta[k][0] * xhat[k] + self.theta[k][1])
            if k < L - 1:
                a_b.append(np.where(a[k] >= 0, 1.0, -1.0))
        t = np.where(np.arange(CLASSES) == labels[:, None], 1.0, -1.0)
        hinge = np.maximum(0, 1 - t * a[-1])
        loss = (hinge**2).mean()
        g_a = -2 * t * hinge / hinge.size
        g_W, g_theta = [None] * L, [None] * L
        for k in reversed(range(L)):
            g_theta[k] = [(g_a * xhat[k]).sum(axis=0), g_a.sum(axis=0)]
            g_x = g_a * self.theta[k][0]
            g_s = (g_x - g_x.mean(axis=0) - xhat[k] * (g_x * xhat[k]).mean(axis=0)) / deviation[k]
            g_W[k] = a_b[k].T @ g_s
            if k:
                g_a = (g_s @ Wb[k].T) * (np.abs(a[k - 1]) <= 1)
        return loss, g_W, g_theta

    def update(self, rate: float, t: int, g_W: list[np.ndarray], g_theta: list[list[np.ndarray]]) -> None:
        """2. Accumulating the gradients: Adam, Glorot's coefficient, clipping."""

        def adam(key: object, g: np.ndarray) -> np.ndarray:
            m, v = self.state.get(key, (0, 0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            self.state[key] = m, v
            return rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)

        for k, W in enumerate(self.W):
            gamma = 1 / np.sqrt(1.5 / sum(W.shape))
            self.W[k] = np.clip(W - gamma * adam(("W", k), g_W[k]), -1, 1)
            for i in range(2):
                self.theta[k][i] = self.theta[k][i] - adam((i, k), g_theta[k][i])


def test_three_training_steps_are_algorithm_1() -> None:
    one = task()
    oracle = Oracle(one.network)
    for step, (images, labels) in enumerate(one.batches(0, 3)):
        scaled = (images.reshape(BATCH, -1) - 127.5) / 127.5
        with tf.GradientTape() as tape:
            scores = one.network((images.astype(np.float32) - 127.5) / 127.5, training=True)
            loss = classification_loss(scores, labels, kind="squared-hinge")
        kernels = [one.network.get_layer(name).kernel for name in ("dense1", "dense2", "out")]
        found = tape.gradient(loss, [getattr(kernel, "latent_variable", kernel) for kernel in kernels])
        expected, g_W, g_theta = oracle.gradients(scaled, labels)
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        for mine, theirs in zip(found, g_W, strict=True):
            np.testing.assert_allclose(np.reshape(mine, theirs.shape), theirs, rtol=1e-3, atol=1e-6)
        one.optimizer.learning_rate.assign(one.rate(step))
        one.step(step, (images, labels))
        oracle.update(RATE * (FINAL / RATE) ** (step / 4), step + 1, g_W, g_theta)
        for kernel, W in zip(kernels, oracle.W, strict=True):
            np.testing.assert_allclose(np.reshape(kernel.numpy(), W.shape), W, atol=2e-4)
        for name, theta in zip(("dense1", "dense2", "out"), oracle.theta, strict=True):
            norm = one.network.get_layer(f"{name}_bn")
            np.testing.assert_allclose([norm.gamma, norm.beta], theta, atol=2e-4)
    assert (np.abs(oracle.W[0]) == 1).any()  # the clipping took part


def test_squared_hinge_is_its_formula() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(0, 2, (20, 5)).astype(np.float32), random.integers(0, 5, 20)
    total = 0.0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        for place, score in enumerate(row):
            total += max(0.0, 1 - (1 if place == label else -1) * score) ** 2
    got = classification_loss(tf.constant(scores), tf.constant(labels), kind="squared-hinge")
    assert float(got) == pytest.approx(total / scores.size, rel=1e-5)


def test_cross_entropy_is_its_formula() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(0, 2, (20, 5)), random.integers(0, 5, 20)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    got = classification_loss(tf.constant(scores, tf.float32), tf.constant(labels), kind="cross-entropy")
    assert float(got) == pytest.approx(-np.log(p[np.arange(20), labels]).mean(), rel=1e-5)
