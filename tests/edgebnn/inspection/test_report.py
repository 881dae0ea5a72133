from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgebnn import bits, cli
from edgebnn.errors import DelegateError
from edgebnn.inspection import runners
from edgebnn.inspection.graph import bitpacked_channels, parse
from edgebnn.inspection.report import examine
from edgebnn.inspection.work import constant_bytes, count_work
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph
from tests.edgebnn import small_networks


def binary_network(*, groups: int = 1) -> bytes:
    """(1, 6, 5, 64) -> sign -> 3x3, 40 outputs, bits -> max pool 2x2 -> 1x1, 8 outputs, float -> ADD with itself."""
    graph, draw = Graph(), np.random.default_rng(0)
    x = graph.input((1, 6, 5, 64))
    y = graph.bconv(
        graph.quantize(x),
        draw.random((40, 3, 3, 64 // groups)) < 0.5,
        thresholds=np.full(40, 288 // groups, np.int32),
        type="bits",
        padding="SAME",
        pad_value=1,
    )
    y = graph.bpool(y, (2, 2), (2, 2))
    ones, zeros = np.ones(8, np.float32), np.zeros(8, np.float32)
    y = graph.bconv(y, draw.random((8, 1, 1, 40)) < 0.5, multiplier=ones, bias=zeros, padding="VALID")
    graph.output(graph.op("ADD", [y, y], graph.tensor(y.shape)))
    return to_bytes(graph)


def test_work_by_hand() -> None:
    network = parse(binary_network())
    work = count_work(network)
    assert [operator.name for operator in network.main.operators] == [
        "LceQuantize",
        "LceBconv2d",
        "LceBMaxPool2d",
        "LceBconv2d",
        "ADD",
    ]
    assert [item.macs for item in work] == [0, 6 * 5 * 40 * 9 * 64, 0, 3 * 2 * 8 * 40, 0]
    assert [item.outputs[0].shape for item in work[:4]] == [(1, 6, 5, 64), (1, 6, 5, 40), (1, 3, 2, 40), (1, 3, 2, 8)]
    assert [item.outputs[0].bits for item in work] == [1, 1, 1, 32, 32]
    assert [item.inputs[0].bits for item in work] == [32, 1, 1, 1, 32]
    assert [item.weight_bits for item in work] == [None, 1, None, 1, None]
    # filters in words, thresholds; filters of two words, multiplier, bias
    assert work[1].weight_bytes == 4 * (40 * 9 * bits.words(64) + 40)
    assert work[1].float_bytes == 4 * (40 * 9 * 64 + 40)
    assert work[3].weight_bytes == 4 * (8 * bits.words(40) + 8 + 8)
    assert work[3].float_bytes == 4 * (8 * 40 + 8 + 8)
    assert constant_bytes(network) == (
        work[1].weight_bytes + work[3].weight_bytes,
        work[1].float_bytes + work[3].float_bytes,
    )


def test_groups_divide_the_macs() -> None:
    work = count_work(parse(binary_network(groups=2)))
    assert work[1].macs == 6 * 5 * 40 * 9 * 32
    assert work[1].float_bytes == 4 * (40 * 9 * 32 + 40)


def test_float_work_by_hand() -> None:
    network = parse(small_networks.bare_detector(size=64))
    macs = {
        operator.name: work.macs for operator, work in zip(network.main.operators, count_work(network), strict=True)
    }
    assert macs == {"AVERAGE_POOL_2D": 0, "CONV_2D": 4 * 4 * 3 * 5}  # of the last level, stride 16


def test_totals() -> None:
    report = examine("x.tflite", binary_network())
    totals = report.totals()
    assert totals["binary_share"] == 1
    assert totals["macs"] == totals["binary_macs"] == 6 * 5 * 40 * 9 * 64 + 3 * 2 * 8 * 40
    assert totals["float32_size_bytes"] - totals["size_bytes"] == 4 * (40 * 9 * 62 + 8 * 38)
    assert totals["size_ratio"] == totals["float32_size_bytes"] / totals["size_bytes"]
    assert sum(totals["runners"].values()) == totals["operators"] == 5


def test_a_shared_buffer_counts_once() -> None:
    golden = Path(__file__).parents[2] / "golden" / "chain-filter-bytes-shared.tflite"
    network = parse(golden.read_bytes())
    data = [tensor for tensor in network.main.tensors if tensor.data is not None]
    assert len({tensor.buffer for tensor in data}) < len(data)
    assert constant_bytes(network)[0] == sum(
        {tensor.buffer: len(tensor.data or b"") for tensor in data}.values(),
    )


def test_who_runs_what() -> None:
    try:
        import edgebnn

        edgebnn.load_delegate()
    except DelegateError as error:
        pytest.skip(str(error))
    model = binary_network()
    network = parse(model)
    assert runners.ask_runtime(model, network) == [runners.DELEGATE] * 5
    report = examine("x", model)
    assert report.asked
    assert "derived" not in report.as_text()


def test_without_a_runtime_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST_BYTES", 0)
    report = examine("x", binary_network())
    assert not report.asked
    assert report.runners == ["delegate"] * 4 + [runners.UNKNOWN]
    assert "derived: no runtime here could be asked" in report.as_text()
    assert report.as_json()["runners_from"] == "derived"


def test_json_is_stable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(binary_network())
    with pytest.raises(SystemExit) as end:
        cli.main(["inspect", "--json", str(path)])
    assert end.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == [
        "schema",
        "file",
        "card",
        "inputs",
        "outputs",
        "runners_from",
        "operators",
        "totals",
        "costs",
    ]
    assert (report["schema"], report["file"], report["card"]) == (1, "net.tflite", None)
    assert list(report["operators"][0]) == [
        "index",
        "type",
        "inputs",
        "outputs",
        "weight_bits",
        "macs",
        "binary",
        "constant_bytes",
        "float32_constant_bytes",
        "runner",
    ]
    assert list(report["totals"]) == [
        "operators",
        "macs",
        "binary_macs",
        "binary_share",
        "constant_bytes",
        "float32_constant_bytes",
        "size_bytes",
        "float32_size_bytes",
        "size_ratio",
        "runners",
    ]
    assert report["inputs"][0] == {"name": "in0", "shape": [1, 6, 5, 64], "type": "float32", "bits": 32}


def test_text_has_a_row_an_operator(detector_file: Path) -> None:
    text = examine("squares.tflite", detector_file.read_bytes()).as_text()
    assert text.startswith("squares.tflite: card '")
    network = parse(detector_file.read_bytes())
    assert sum(" CONV_2D " in line for line in text.splitlines()) == 2
    assert f"{len(network.main.operators)} operators: " in text
    assert [*network.entries()[1]] == ["small", "large"]


def test_bits_are_known_through_pooling() -> None:
    network = parse(binary_network())
    outputs = [operator.outputs[0] for operator in network.main.operators]
    assert bitpacked_channels(network.main) == {outputs[0]: 64, outputs[1]: 40, outputs[2]: 40}


def test_a_missing_file_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("hello there")
    for path in (tmp_path / "none.tflite", tmp_path / "text.tflite"):
        with pytest.raises(SystemExit) as end:
            cli.main(["inspect", str(path)])
        assert end.value.code == 1
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
