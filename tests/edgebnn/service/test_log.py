from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebnn.service import log
from edgebnn.service.log import mask, masked, set_up_log


@pytest.fixture(autouse=True)
def secrets_as_before() -> Iterator[None]:
    secrets = set(log._secrets)
    yield
    log._secrets.clear()
    log._secrets.update(secrets)
    logging.captureWarnings(False)


def lines(debug: bool = False) -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    set_up_log(debug=debug, stream=stream)
    return stream, logging.getLogger("edgebnn.camera")


def test_one_line_with_time_level_and_part() -> None:
    stream, logger = lines()
    logger.warning("camera %s\nis lost\r\n", "v4l2")
    (line,) = stream.getvalue().splitlines()
    stamp, level, *rest = line.split()
    assert len(stamp) == len("2026-11-23T12:00:00+0000") and level == "warning"
    assert " ".join(rest) == "camera: camera v4l2 | is lost"


def test_levels() -> None:
    stream, logger = lines()
    logger.debug("no")
    logging.getLogger("other").info("no")
    logging.getLogger("other").warning("yes")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["yes"]
    stream, logger = lines(debug=True)
    logger.debug("yes")
    assert stream.getvalue().endswith("yes\n")


def test_malformed_requests_of_strangers_are_no_lines() -> None:
    stream, _ = lines()
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("python_multipart.multipart").warning("Expected boundary character 45, got 0 at index 2")
    assert stream.getvalue() == ""


def test_an_exception_is_one_line_with_its_trace_only_for_debugging() -> None:
    for debug in (False, True):
        stream, logger = lines(debug)
        try:
            raise ValueError("expected 3, got 4")
        except ValueError:
            logger.exception("a frame is dropped")
        (line,) = stream.getvalue().splitlines()
        assert "a frame is dropped (ValueError: expected 3, got 4)" in line
        assert ("Traceback" in line) == debug


def test_control_characters_and_endless_messages_are_cut() -> None:
    stream, logger = lines()
    logger.info("\x1b[31mred\x00 %s", 10_000 * "a")
    (line,) = stream.getvalue().splitlines()
    assert "?[31mred?" in line and line.endswith("aaa [cut]") and len(line) < 4100


def test_secrets_are_masked_also_inside_exceptions() -> None:
    mask("correct horse battery")
    mask("correct horse")  # a part of another: the longer one goes first
    mask("")
    stream, logger = lines()
    logger.warning("token is correct horse battery")
    try:
        raise ValueError("bad token correct horse")
    except ValueError:
        logger.exception("no")
    assert "horse" not in stream.getvalue() and stream.getvalue().count("***") == 2
    assert masked("a correct horse!") == "a ***!"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (25, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_under_journald_a_line_starts_with_its_priority(tmp_path: Path, level: int, priority: int) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        set_up_log(debug=True, stream=stream, environ={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        logging.getLogger("edgebnn.camera").log(level, "one\ntwo")
        stream.seek(0)
        assert stream.read() == f"<{priority}>camera: one | two\n"


def test_a_stream_that_is_not_the_journal_has_times() -> None:
    stream = io.StringIO()
    set_up_log(stream=stream, environ={"JOURNAL_STREAM": "8:1234"})
    logging.getLogger("edgebnn").info("up")
    assert not stream.getvalue().startswith("<")
