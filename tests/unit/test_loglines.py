"""Tests of kiro2api.loglines."""

import json
import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_outputs import Start, list_messages, open_logs, parse_lines


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """Starts logging, and stops it after the test."""
    with open_logs(capsys) as started:
        yield started


def _fields(text: str) -> dict[str, Any]:
    (line,) = parse_lines(text)
    return {key: value for key, value in line.items() if key not in {"timestamp", "level", "message", "logger"}}


def _fail(error: Exception) -> None:
    raise error


def test_json_line(start: Start) -> None:
    """A line is one JSON object: time in UTC with milliseconds, level and message first, then the fields."""
    start().logger.info("request_done", status=200, model="claude", 名="值", kind=None, ok=True, level="x")

    (line,) = parse_lines(start.read())

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    expected = {"level": "info", "message": "request_done", "status": 200, "model": "claude", "名": "值"}
    assert list(line.items()) == list((expected | {"kind": None, "ok": True, "level_": "x"}).items())


def test_text_line(start: Start) -> None:
    """A line for people is aligned, without colour where no terminal is, and cannot break out of its line."""
    logger = start(log_format="text").logger

    logger.warning("request_done", status=200, model="claude", note="a b\n\x1b[31m", empty="", ok=True, items=["é\x9b"])
    logger.error("two\nlines")

    first, second = (line.partition(" ")[2] for line in start.read().splitlines())
    assert first == (
        "WARNING request_done                     status=200 model=claude note='a b\\n\\x1b[31m' empty='' ok=true "
        'items=["é\\x9b"]'
    )
    assert second == "ERROR   two\\nlines"


def test_text_on_a_terminal(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The level is coloured on a terminal, in the file it is not."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    path = tmp_path / "log"

    start(log_format="text", file=path).logger.error("x")

    assert " \x1b[31mERROR  \x1b[0m x\n" in start.read()
    assert path.read_text(encoding="utf-8").endswith(" ERROR   x\n")


def test_exception(start: Start) -> None:
    """An exception comes with its traceback, as a field in JSON and as indented lines in text, without secrets."""
    for configure in (start, partial(start, log_format="text")):
        logs = configure()
        failure = ValueError('Bearer abc.def {"refreshToken": "abc.def"} \x1b')
        try:
            _fail(failure)
        except ValueError:
            logs.logger.exception("failed")
        logs.close()

    first, *lines = start.read().splitlines()
    traceback = json.loads(first)["exception"]
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith('\nValueError: Bearer *** {"refreshToken": "***"} \x1b')
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-1] == '  ValueError: Bearer *** {"refreshToken": "***"} \\x1b'
    assert "abc.def" not in first + "".join(lines)


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
def test_redaction(start: Start, field: dict[str, object], shown: dict[str, object]) -> None:
    """What goes by a secret's name is masked wherever it stands; counts of model tokens are not."""
    start().logger.info("x", **field)

    assert _fields(start.read()) == shown


def test_libraries_are_redacted(start: Start) -> None:
    """A library's sentence loses its bearer."""
    start()

    logging.getLogger("trio").warning("sent %s", {"authorization": "Bearer abc"})

    assert list_messages(start.read()) == ["sent {'authorization': 'Bearer ***'}"]
