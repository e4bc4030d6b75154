"""Tests of kiro2api.logs."""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, override

import pytest
import structlog

from kiro2api.logs import LogLevel
from tests.support.log_outputs import Start, list_messages, open_logs, parse_lines


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """Starts logging, and stops it after the test."""
    with open_logs(capsys) as started:
        yield started


@contextmanager
def _without_pytest() -> Iterator[list[logging.Handler]]:
    """The process's outputs, without pytest's own: those do raise."""
    handlers = logging.getLogger().handlers
    kept = handlers.copy()
    handlers.clear()
    try:
        yield handlers
    finally:
        handlers[:] = kept


def test_libraries_join(start: Start) -> None:
    """The libraries' lines have the same form and say whose they are."""
    start()

    logging.getLogger("quart.app").info("Running on %s", "127.0.0.1")

    (line,) = parse_lines(start.read())
    del line["timestamp"]
    assert line == {"level": "info", "message": "Running on 127.0.0.1", "logger": "quart.app"}


@pytest.mark.parametrize(
    ("level", "name", "shown"),
    [
        ("debug", "kiro2api", ["debug", "info", "warning", "error"]),
        ("debug", "quart.app", ["info", "warning", "error"]),
        ("debug", "httpx", ["warning", "error"]),
        ("debug", "httpcore.http11", ["warning", "error"]),
        ("debug", "hpack.hpack", ["warning", "error"]),
        ("info", "kiro2api", ["info", "warning", "error"]),
        ("warning", "trio", ["warning", "error"]),
        ("error", "httpx", ["error"]),
    ],
)
def test_levels(start: Start, level: LogLevel, name: str, shown: list[str]) -> None:
    """The level counts for us; libraries never log what is meant for their debugging."""
    logs = start(level=level)
    logger: Any = logs.logger if name == "kiro2api" else logging.getLogger(name)

    for method in ("debug", "info", "warning", "error"):
        getattr(logger, method)(method)

    assert list_messages(start.read()) == shown


def test_context(start: Start) -> None:
    """Fields that are bound to the logger, or to the task's context, stand on its lines."""
    logger = start().logger.bind(part="pool")

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logger.info("x")

    (line,) = parse_lines(start.read())
    assert (line["request_id"], line["part"]) == ("r1", "pool")


def test_file_survives_renaming(start: Start, tmp_path: Path) -> None:
    """After the file was renamed, or removed, lines go to a new one of the old name."""
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    logs = start(file=path, console=False)

    logs.logger.info("one")
    logs.flush()
    path.rename(rotated)
    logs.logger.info("two")
    logs.logger.info("three")
    logs.flush()
    before = path.read_text(encoding="utf-8")
    path.unlink()
    logs.logger.info("four")
    logs.close()

    assert list_messages(rotated.read_text(encoding="utf-8")) == ["one"]
    assert list_messages(before) == ["two", "three"]
    assert list_messages(path.read_text(encoding="utf-8")) == ["four"]
    assert start.read() == ""


def test_file_is_appended_to(start: Start, tmp_path: Path) -> None:
    """What stands in the file stays, and text that no encoding has is escaped."""
    path = tmp_path / "log"
    path.write_text("{}\n", encoding="utf-8")

    logs = start(file=path)
    logs.logger.info("x", name="\udc80")
    logs.close()

    first, second = path.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["name"]) == ("{}", "\udc80")


@pytest.mark.parametrize("console", [True, False])
def test_full_disk(start: Start, *, console: bool) -> None:
    """Lines that the disk has no room for go to standard error, once, after one notice; they are counted."""
    logs = start(file=Path("/dev/full"), console=console)

    logs.logger.info("one")
    logs.logger.info("two")

    notice = "log file cannot be written: /dev/full: No space left on device"
    assert sorted(list_messages(start.read())) == sorted([notice, "one", "two"])
    assert logs.dropped == 2


def test_file_recovers(start: Start, tmp_path: Path) -> None:
    """Once the file can be written, it says how many lines are missing, and goes on."""
    path = tmp_path / "missing" / "log"
    logs = start(file=path)

    logs.logger.info("one")
    logs.logger.info("two")
    logs.flush()
    path.parent.mkdir()
    logs.logger.info("three")
    logs.logger.info("four")
    logs.flush()

    written = list_messages(path.read_text(encoding="utf-8"))
    assert written == ["log lines are missing here: 2", "three", "four"]
    assert logs.dropped == 2


class _Unprintable:
    @override
    def __repr__(self) -> str:
        raise RuntimeError


def test_logging_never_raises(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value without a text form, wrong arguments, and no standard error at all, cost a line and nothing else."""
    with _without_pytest():
        logs = start()
        logs.logger.info("x", value=_Unprintable())
        logging.getLogger("trio").warning("%d", "x")
        monkeypatch.setattr("sys.stderr", None)
        silent = start()
        silent.logger.info("y")

        assert list_messages(start.read()) == ["y"]
    assert (logs.dropped, silent.dropped) == (2, 1)


def test_silence(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Without console and file nothing is written anywhere."""
    start(console=False).logger.error("x")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_close(start: Start, tmp_path: Path) -> None:
    """A closed output takes no lines, which the standard library then writes; closing again does nothing."""
    with _without_pytest() as handlers:
        logs = start(file=tmp_path / "log")
        logs.logger.info("one")

        logs.close()
        logs.close()
        logging.getLogger("trio").warning("two")

        assert handlers == []
    first, second = start.read().splitlines()
    assert (json.loads(first)["message"], second) == ("one", "two")


class _Reader:
    """Standard error as a pipe of one page, whose reader does nothing until it is told to."""

    def __init__(self, *, is_blocking: bool) -> None:
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, is_blocking)
        self.stream = os.fdopen(writing, "w", encoding="utf-8")
        self.messages: list[str] = []
        self._pipe = os.fdopen(reading, encoding="utf-8")
        self._thread = threading.Thread(target=self._read, daemon=True)

    def resume(self) -> None:
        self._thread.start()

    def finish(self) -> list[str]:
        """All messages, once the stream is closed."""
        self.stream.close()
        if self._thread.ident:
            self._thread.join()
        self._pipe.close()
        return self.messages

    def _read(self) -> None:
        self.messages = list_messages(self._pipe.read())


@pytest.mark.parametrize("is_blocking", [True, False])
def test_stalled_reader(start: Start, monkeypatch: pytest.MonkeyPatch, *, is_blocking: bool) -> None:
    """Nobody waits for it: lines are dropped when the queue is full, and their number stands where they are missing."""
    reader = _Reader(is_blocking=is_blocking)
    monkeypatch.setattr("sys.stderr", reader.stream)
    monkeypatch.setattr("kiro2api.logs.MAX_QUEUED_LINES", 5)
    logs = start()

    for number in range(50):
        logs.logger.info(str(number), padding="x" * 500)
    reader.resume()
    assert logs.flush()
    for number in range(50, 53):
        logs.logger.info(str(number))
    logs.close()

    number, missing = 0, 0
    for message in reader.finish():
        gap = int(message.partition("missing here: ")[2] or 0)
        assert gap or message == str(number)
        number, missing = number + (gap or 1), missing + gap
    assert (number, missing) == (53, logs.dropped)
    assert 30 < missing < 50


def test_missing_at_the_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was dropped last is told when the outputs are closed."""
    reader = _Reader(is_blocking=True)
    monkeypatch.setattr("sys.stderr", reader.stream)
    monkeypatch.setattr("kiro2api.logs.MAX_QUEUED_LINES", 5)
    logs = start()

    for number in range(50):
        logs.logger.info(str(number), padding="x" * 500)
    reader.resume()
    logs.close()

    *_, last = reader.finish()
    assert last.startswith("log lines are missing here: ")


def test_close_gives_a_stalled_reader_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not read within the deadline is lost, and neither closing nor logging afterwards waits for it."""
    reader = _Reader(is_blocking=True)
    monkeypatch.setattr("sys.stderr", reader.stream)
    monkeypatch.setattr("kiro2api.logs.CLOSE_SECONDS", 0.05)
    logs = start()
    for number in range(50):
        logs.logger.info(str(number), padding="x" * 500)

    began = time.monotonic()
    assert not logs.flush(0.05)
    logs.close()
    logs.close()

    assert 0.1 <= time.monotonic() - began < 1.0
    reader.resume()
    assert logs.flush()
    assert len(reader.finish()) == 50


def test_outputs_do_not_wait_for_each_other(start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While one cannot even be opened, the other is written."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    logs = start(file=path)

    logs.logger.info("one")
    written = ""
    while not written:
        written = capsys.readouterr().err

    assert list_messages(written) == ["one"]
    with path.open(encoding="utf-8") as fifo:
        logs.close()
        assert list_messages(fifo.read()) == ["one"]


def test_no_thread_to_be_had(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without a thread to write it is counted, and the next has its chance."""
    logs = start()
    with _without_pytest() as handlers, monkeypatch.context() as patched:
        handlers.extend(logs._handlers)
        patched.setattr("threading.Thread.start", _refuse_thread)
        logs.logger.info("one")
    logs.logger.info("two")

    assert list_messages(start.read()) == ["two"]
    assert logs.dropped == 1


def _refuse_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
