"""Tests of kiro2api.logs."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, override

import pytest
import structlog

from kiro2api.logs import LogFormat, LogLevel, Logs, configure_logging

type Start = Callable[..., Logs]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts logging, and stops it after the test."""
    with ExitStack() as stack:

        def configure(
            *,
            level: LogLevel = "info",
            log_format: LogFormat = "json",
            file: Path | None = None,
            console: bool = True,
        ) -> Logs:
            logs = configure_logging(level=level, log_format=log_format, file=file, console=console)
            return stack.enter_context(closing(logs))

        yield configure


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


def _parse(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _fields(text: str) -> dict[str, Any]:
    (line,) = _parse(text)
    return {key: value for key, value in line.items() if key not in {"timestamp", "level", "message", "logger"}}


def _messages(text: str) -> list[str]:
    return [line["message"] for line in _parse(text)]


def _fail(error: Exception) -> None:
    raise error


def test_json_line(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A line is one JSON object: time in UTC with milliseconds, level and message first, then the fields."""
    start().logger.info("request_done", status=200, model="claude", 名="值", kind=None, ok=True, level="x")

    (line,) = _parse(capsys.readouterr().err)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    expected = {"level": "info", "message": "request_done", "status": 200, "model": "claude", "名": "值"}
    assert list(line.items()) == list((expected | {"kind": None, "ok": True, "level_": "x"}).items())


def test_text_line(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for people is aligned, without colour where no terminal is, and cannot break out of its line."""
    logger = start(log_format="text").logger

    logger.warning("request_done", status=200, model="claude", note="a b\n\x1b[31m", empty="", ok=True, items=["é\x9b"])
    logger.error("two\nlines")

    first, second = (line.partition(" ")[2] for line in capsys.readouterr().err.splitlines())
    assert first == (
        "WARNING request_done                     status=200 model=claude note='a b\\n\\x1b[31m' empty='' ok=true "
        'items=["é\\x9b"]'
    )
    assert second == "ERROR   two\\nlines"


def test_text_on_a_terminal(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The level is coloured on a terminal, in the file it is not."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    path = tmp_path / "log"

    start(log_format="text", file=path).logger.error("x")

    assert " \x1b[31mERROR  \x1b[0m x\n" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8").endswith(" ERROR   x\n")


def test_exception(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception comes with its traceback, as a field in JSON and as indented lines in text, without secrets."""
    for log_format in ("json", "text"):
        logs = start(log_format=log_format)
        failure = ValueError('Bearer abc.def {"refreshToken": "abc.def"} \x1b')
        try:
            _fail(failure)
        except ValueError:
            logs.logger.exception("failed")
        logs.close()

    first, *lines = capsys.readouterr().err.splitlines()
    traceback = json.loads(first)["exception"]
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith('\nValueError: Bearer *** {"refreshToken": "***"} \x1b')
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-1] == '  ValueError: Bearer *** {"refreshToken": "***"} \\x1b'
    assert "abc.def" not in first + "".join(lines)


def test_libraries_join(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """The libraries' lines have the same form and say whose they are."""
    start()

    logging.getLogger("quart.app").info("Running on %s", "127.0.0.1")

    (line,) = _parse(capsys.readouterr().err)
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
def test_levels(start: Start, capsys: pytest.CaptureFixture[str], level: LogLevel, name: str, shown: list[str]) -> None:
    """The level counts for us; libraries never log what is meant for their debugging."""
    logs = start(level=level)
    logger: Any = logs.logger if name == "kiro2api" else logging.getLogger(name)

    for method in ("debug", "info", "warning", "error"):
        getattr(logger, method)(method)

    assert _messages(capsys.readouterr().err) == shown


def test_context(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that are bound to the logger, or to the task's context, stand on its lines."""
    logger = start().logger.bind(part="pool")

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logger.info("x")

    assert _fields(capsys.readouterr().err) == {"request_id": "r1", "part": "pool"}


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ({"authorization": "Basic abc"}, {"authorization": "***"}),
        ({"X-Api-Key": "abc"}, {"X-Api-Key": "***"}),
        ({"client_key": "abc"}, {"client_key": "***"}),
        ({"refreshToken": "abc"}, {"refreshToken": "***"}),
        ({"access_token": b"abc"}, {"access_token": "***"}),
        ({"access_token": None}, {"access_token": None}),
        ({"refresh_tokens": ["abc"]}, {"refresh_tokens": "***"}),
        ({"clientSecret": "abc"}, {"clientSecret": "***"}),
        ({"set-cookie": "abc"}, {"set-cookie": "***"}),
        ({"input_tokens": 5, "max_tokens": 7}, {"input_tokens": 5, "max_tokens": 7}),
        ({"usage": {"output_tokens": 5}}, {"usage": {"output_tokens": 5}}),
        ({"body": {"a": [{"accessToken": "abc"}]}}, {"body": {"a": [{"accessToken": "***"}]}}),
        ({"headers": {b"cookie": b"abc"}}, {"headers": {"cookie": "***"}}),
        ({"headers": [(b"x-api-key", b"abc"), (b"a", b"b")]}, {"headers": [["x-api-key", "***"], ["a", "b"]]}),
        ({"note": "sent Bearer abc.def, twice"}, {"note": "sent Bearer ***, twice"}),
        ({"note": "refresh_token=abc&x=1"}, {"note": "refresh_token=***&x=1"}),
        ({"raw": b"bearer abc\xff"}, {"raw": "bearer ***"}),
        ({"set": {"bearer abc"}}, {"set": "{'bearer ***'}"}),
        ({"deep": [[[[[[[1]]]]]]]}, {"deep": [[[[[["..."]]]]]]}),
    ],
)
def test_redaction(
    start: Start, capsys: pytest.CaptureFixture[str], field: dict[str, object], shown: dict[str, object]
) -> None:
    """What goes by a secret's name is masked wherever it stands; counts of model tokens are not."""
    start().logger.info("x", **field)

    assert _fields(capsys.readouterr().err) == shown


def test_libraries_are_redacted(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A library's sentence loses its bearer."""
    start()

    logging.getLogger("trio").warning("sent %s", {"authorization": "Bearer abc"})

    assert _messages(capsys.readouterr().err) == ["sent {'authorization': 'Bearer ***'}"]


def test_file_survives_renaming(start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the file was renamed, or removed, lines go to a new one of the old name."""
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    logger = start(file=path, console=False).logger

    logger.info("one")
    path.rename(rotated)
    logger.info("two")
    logger.info("three")
    before = path.read_text(encoding="utf-8")
    path.unlink()
    logger.info("four")

    assert _messages(rotated.read_text(encoding="utf-8")) == ["one"]
    assert _messages(before) == ["two", "three"]
    assert _messages(path.read_text(encoding="utf-8")) == ["four"]
    assert capsys.readouterr().err == ""


def test_file_is_appended_to(start: Start, tmp_path: Path) -> None:
    """What stands in the file stays, and text that no encoding has is escaped."""
    path = tmp_path / "log"
    path.write_text("{}\n", encoding="utf-8")

    start(file=path).logger.info("x", name="\udc80")

    first, second = path.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["name"]) == ("{}", "\udc80")


@pytest.mark.parametrize("console", [True, False])
def test_full_disk(start: Start, capsys: pytest.CaptureFixture[str], *, console: bool) -> None:
    """Lines that the disk has no room for go to standard error, once, after one notice; they are counted."""
    logs = start(file=Path("/dev/full"), console=console)

    logs.logger.info("one")
    logs.logger.info("two")

    notice = "log file cannot be written: /dev/full: No space left on device"
    assert sorted(_messages(capsys.readouterr().err)) == sorted([notice, "one", "two"])
    assert logs.dropped == 2


def test_file_recovers(start: Start, tmp_path: Path) -> None:
    """Once the file can be written, it says how many lines are missing, and goes on."""
    path = tmp_path / "missing" / "log"
    logs = start(file=path)

    logs.logger.info("one")
    logs.logger.info("two")
    path.parent.mkdir()
    logs.logger.info("three")
    logs.logger.info("four")

    written = _messages(path.read_text(encoding="utf-8"))
    assert written == ["log lines are missing here: 2", "three", "four"]
    assert logs.dropped == 2


class _Unprintable:
    @override
    def __repr__(self) -> str:
        raise RuntimeError


def test_logging_never_raises(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value without a text form, wrong arguments, and no standard error at all, cost a line and nothing else."""
    with _without_pytest():
        logs = start()
        logs.logger.info("x", value=_Unprintable())
        logging.getLogger("trio").warning("%d", "x")
        monkeypatch.setattr("sys.stderr", None)
        silent = start()
        silent.logger.info("y")

    assert (logs.dropped, silent.dropped) == (2, 1)
    assert _messages(capsys.readouterr().err) == ["y"]


def test_silence(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Without console and file nothing is written anywhere."""
    start(console=False).logger.error("x")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_close(start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A closed output takes no lines, which the standard library then writes; closing again does nothing."""
    with _without_pytest() as handlers:
        logs = start(file=tmp_path / "log")
        logs.logger.info("one")

        logs.close()
        logs.close()
        logging.getLogger("trio").warning("two")

        assert handlers == []
    first, second = capsys.readouterr().err.splitlines()
    assert (json.loads(first)["message"], second) == ("one", "two")
