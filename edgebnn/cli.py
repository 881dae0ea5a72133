"""The `edgebnn` command. Each command imports what it needs when it is called."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebnn.command import make_app, run_app
from edgebnn.errors import EdgebnnError, MissingExtraError

app = make_app("edgebnn", "Binarized neural networks on Raspberry Pi class devices.")

ModelFile = Annotated[Path, typer.Argument(help="a .tflite file, or the name of a model in the package (face)")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object a line instead of text")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="threads of the interpreter and of the delegate")]


def _train_extra(command: str) -> None:
    """Raise MissingExtraError with the cure when `command` cannot work in this environment."""
    from importlib.util import find_spec
    from platform import machine

    if all(find_spec(name) for name in ("tensorflow", "tf_keras", "larq", "larq_compute_engine")):
        return
    if sys.version_info >= (3, 13) or machine() != "x86_64":
        here = f"Python {sys.version_info.major}.{sys.version_info.minor} on {machine()}"
        cure = "use a workstation with Python 3.10 to 3.12 on x86_64 and `pip install 'edgebnn[train]'` there"
    else:
        here, cure = "an environment without them", "run `pip install 'edgebnn[train]'`"
    raise MissingExtraError(f"edgebnn {command} needs TensorFlow, Larq and Larq Compute Engine, this is {here}: {cure}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="a recipe of the package (face, digits-mlp, ...) or a .toml file")],
    data: Annotated[list[Path] | None, typer.Option("--data", help="folder of a data set; may be repeated")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="run folder [default: runs/RECIPE]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the run folder's last checkpoint")] = False,
    init_from: Annotated[Path | None, typer.Option("--init-from", help="start from a checkpoint's weights")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="a minute's run that proves the path works")] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="the same result from every run on a machine; slower on GPUs")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="train nothing: say what will be binary and what float once converted")
    ] = False,
) -> None:
    """Train a network; needs the extra [train]."""
    _train_extra("train")
    if explain:
        from edgebnn_convert.explain import explain as show

        from edgebnn.training.run import untrained

        show(recipe, untrained(recipe, smoke=smoke))
        return
    from edgebnn.training.run import train as run

    run(recipe, data=data or [], out=out, resume=resume, init_from=init_from, smoke=smoke, deterministic=deterministic)


@app.command()
def evaluate(
    model: ModelFile,
    data: Annotated[Path, typer.Option("--data", help="folder with annotations.jsonl, or a WIDER FACE folder")],
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """AP50 of a face detector by face size."""
    from edgebnn.evaluation.evaluate import evaluate as run

    run(model, data=data, split=split, threads=threads, as_json=as_json)


def _lint_rules(text: str) -> list[str]:
    from edgebnn.inspection.lint import RULES

    rules = [rule.strip() for rule in text.split(",") if rule.strip()]
    for rule in rules:
        if rule not in RULES:
            raise typer.BadParameter(f"expected rules out of {', '.join(RULES)}, got {rule}", param_hint="--allow")
    return rules


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help=".keras or .h5 file, or SavedModel folder")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the .tflite to write")],
    card: Annotated[Path | None, typer.Option(help="card.json [default: beside the checkpoint]")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="int8 for what is not binary; needs --calibrate")] = False,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="pictures, or .npz files with arrays by input name, for --int8")
    ] = None,
    allow: Annotated[str, typer.Option(metavar="RULE,...", help="lint rules whose errors are let pass, as L01")] = "",
) -> None:
    """Convert a Keras/Larq checkpoint to a verified .tflite; needs the extra [train]."""
    if int8 != (calibrate is not None):
        raise typer.BadParameter("expected --int8 and --calibrate DIR together, got one of them", param_hint="--int8")
    _train_extra("convert")
    from edgebnn_convert.convert import convert as run

    run(checkpoint, output, card=card, calibrate=calibrate, allow=_lint_rules(allow))


@app.command()
def verify(
    model: ModelFile,
    checkpoint: Annotated[Path | None, typer.Option(help="compare with this Keras checkpoint too")] = None,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="with --checkpoint, the samples of convert --int8")
    ] = None,
) -> None:
    """Compare every implementation of a model: Keras, LCE's interpreter, the delegate."""
    if checkpoint is not None:
        _train_extra("verify --checkpoint")
    elif calibrate is not None:
        raise typer.BadParameter("expected --checkpoint beside it, got none", param_hint="--calibrate")
    from edgebnn_convert.verify import verify as run

    run(model, checkpoint=checkpoint, calibrate=calibrate)


@app.command()
def inspect(
    model: ModelFile,
    lint: Annotated[bool, typer.Option("--lint", help="what makes it slow, large or wrong; errors exit 1")] = False,
    filters: Annotated[bool, typer.Option("--filters", help="how many binary filters of each layer differ")] = False,
    as_json: Json = False,
) -> None:
    """Table of a model's operators: shapes, bits, MACs, bytes, who runs each, and what it all costs."""
    from edgebnn.inspection.report import inspect as run
    from edgebnn.runtime.model import read_model

    raise typer.Exit(run(*read_model(model), as_json=as_json, with_lint=lint, with_filters=filters))


def _between_0_and_1(score: float | None) -> float | None:
    if score is not None and not 0 < score < 1:
        raise typer.BadParameter(f"expected a score between 0 and 1, both excluded, got {score}")
    return score


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{1,3}x[1-9]\d{1,3}", text):
        raise typer.BadParameter(f"expected WIDTHxHEIGHT as 640x480, got {text}")
    return text


@app.command()
def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="image files, folders, video files, picamera:0, v4l2:/dev/video0, rtsp:// and http:// streams",
        ),
    ],
    model: Annotated[Path, typer.Option(help="a detector .tflite, or the name of one in the package")] = Path("face"),
    min_score: Annotated[
        float | None, typer.Option(callback=_between_0_and_1, help="least score, 0..1 [default: from the card]")
    ] = None,
    threads: Threads = 1,
    save: Annotated[Path | None, typer.Option(metavar="DIR", help="write annotated pictures and videos here")] = None,
    as_json: Json = False,
    show: Annotated[bool, typer.Option("--show", help="open a window; q or Escape closes it")] = False,
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="at most so many frames of each source")
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", callback=_size, help="what a camera is asked for")] = "640x480",
    fps: Annotated[float, typer.Option(min=0.2, max=240, help="frames per second that a camera is asked for")] = 15,
) -> None:
    """Find faces in pictures, videos and cameras (until Ctrl-C); docs/cameras.md has all sources."""
    from edgebnn.detect import detect as run

    width, height = map(int, size.split("x"))
    code = run(
        sources,
        model=model,
        min_score=min_score,
        threads=threads,
        save=save,
        as_json=as_json,
        show=show,
        frames=frames,
        size=(width, height),
        fps=fps,
    )
    raise typer.Exit(code)


def _isa(value: str) -> str:
    if value not in ("native", "avx2"):
        raise typer.BadParameter(f"expected native or avx2, got {value}")
    return value


def _seconds(value: float) -> float:
    if not 0 < value <= 3600:
        raise typer.BadParameter(f"expected seconds above 0 and up to 3600, got {value}")
    return value


@app.command()
def bench(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help=".tflite files, or names in the package")],
    against: Annotated[
        str | None,
        typer.Option(metavar="PEER,...", help="out of lce, lce-indirect, xnnpack-fp32, xnnpack-int8"),
    ] = None,
    threads: Threads = 1,
    isa: Annotated[
        str,
        typer.Option(metavar="native|avx2", callback=_isa, help="avx2: nothing wider in the delegate and in XNNPACK"),
    ] = "native",
    seconds: Annotated[float, typer.Option(callback=_seconds, help="time to spend on a model")] = 5,
    profile: Annotated[bool, typer.Option("--profile", help="time of each partition and operator too")] = False,
    as_json: Json = False,
) -> None:
    """How long models take, beside their peers in the same run."""
    from edgebnn.bench import LoadPeer
    from edgebnn.bench import bench as run

    peers: list[str] = []
    load: LoadPeer | None = None
    if against is not None:
        from edgebnn_convert.peers import load_peer, parse_peers

        load = load_peer
        try:
            peers = parse_peers(against)
        except EdgebnnError as error:
            raise typer.BadParameter(str(error), param_hint="--against") from None
    run(
        models,
        peers=peers,
        load_peer=load,
        num_threads=threads,
        isa=isa,
        seconds=seconds,
        profile=profile,
        as_json=as_json,
    )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check camera, delegate, processor, memory, disk, clock, permissions, services; and name the cures."""
    from edgebnn.doctor import doctor as run

    raise typer.Exit(run(as_json=as_json))


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run_app(app, arguments)
