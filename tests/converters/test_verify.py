from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from edgebnn_convert import verify as verify_module
from edgebnn_convert.interpreters import _reaches_over
from edgebnn_convert.verify import verify

from edgebnn.errors import MissingExtraError, ModelError

GOLDEN = Path(__file__).parents[1] / "golden"


def test_any_model_without_a_checkpoint(delegate: None, capsys: Any) -> None:
    verify(GOLDEN / "chain-three-heads.tflite", checkpoint=None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("chain-three-heads.tflite: 3 inputs (random input 1")
    assert lines[-1] == "equal"


def test_without_lce_it_says_so(delegate: None, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingExtraError("Larq Compute Engine is not installed")

    monkeypatch.setattr(verify_module, "Lce", missing)
    verify(GOLDEN / "chain-pooled.tflite", checkpoint=None)
    out = capsys.readouterr().out
    assert "no LCE here, so the delegate's reference kernels stand for it" in out
    assert "delegate (reference kernels) = delegate" in out


def test_a_checkpoint_needs_lce(
    checkpoint: Callable[[str], Path], converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtraError("Larq Compute Engine is not installed")

    monkeypatch.setattr(verify_module, "Lce", missing)
    with pytest.raises(MissingExtraError):
        verify(converted("chain"), checkpoint=checkpoint("chain"))


@pytest.mark.skipif(find_spec("larq_compute_engine") is None, reason="Larq Compute Engine does not install here")
def test_what_lce_computes_wrong_is_judged_by_the_reference_kernels(delegate: None, capsys: Any) -> None:
    verify(GOLDEN / "conv-image2x2-same0-odd.tflite", checkpoint=None)
    out = capsys.readouterr().out
    assert "no kernel of LCE computes this right" in out and "an odd number of input channels" in out


@pytest.mark.parametrize(
    ("size", "span", "stride", "reaches"),
    [
        (8, 3, 1, False),
        (2, 3, 1, True),
        (1, 3, 1, True),
        (1, 1, 1, False),
        (5, 5, 1, False),
        (4, 5, 1, True),
        (3, 3, 3, False),
    ],
)
def test_windows_that_reach_over(size: int, span: int, stride: int, reaches: bool) -> None:
    assert _reaches_over(size, span, stride) == reaches


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_text("no model at all")
    with pytest.raises(ModelError, match="TFL3"):
        verify(tmp_path / "a.tflite", checkpoint=None)
    with pytest.raises(ModelError, match="cannot read the model"):
        verify(Path("no-such-model"), checkpoint=None)


def test_the_photograph_is_among_the_inputs_of_a_picture_network(converted: Callable[[str], Path], capsys: Any) -> None:
    model = converted("chain")
    capsys.readouterr()
    verify(model, checkpoint=None)
    assert "photograph" in capsys.readouterr().out.splitlines()[0]
