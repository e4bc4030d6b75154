"""Tests of kiro2api.loglines."""

import json
import logging
import re
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from kiro2api.loglines import LogFormat, Redactor
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
    start().logger.info("request_done", status=HTTPStatus.OK, model="claude", 名="值", kind=None, ok=True, level="x")

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("traded aorAAAAAGabcdefghij012345:MGUC/+= for aoaAAAAAGabcdefghij012345.", "traded *** for ***"),
        ("key ksk_0123abcd, sk-ant-api03-0123456789", "key ***, ***"),
        ("jwt=eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2ln?", "jwt=***?"),
        ("authorization: Basic dTpw", "authorization: Basic ***"),
        ("(b'authorization', b'Bearer abc')", "(b'authorization', b'Bearer ***')"),
        ("[('x-api-key', 'bcd'), ('a', 'b')]", "[('x-api-key', '***'), ('a', 'b')]"),
        ("X-Api-Key: b", "X-Api-Key: ***"),
        ('{"accessToken" : "two words", "a": 1}', '{"accessToken" : "***", "a": 1}'),
        (r"{\"clientSecret\":\"abc\",\"a\":1}", r"{\"clientSecret\":\"***\",\"a\":1}"),
        ("https://h/?refreshToken=abc&a=1", "https://h/?refreshToken=***&a=1"),
    ],
)
def test_what_looks_like_a_secret(start: Start, text: str, shown: str) -> None:
    """It is masked in whatever text it stands, and no more than it."""
    start().logger.info(text, a=text, b=[{"a": [text]}], c=text.encode())

    (line,) = parse_lines(start.read())
    assert [line[key] for key in ("message", "a", "b", "c")] == [shown, shown, [{"a": [shown]}], shown]


@pytest.mark.parametrize(
    "text",
    [
        "task-force-of-the-whole-nation risk-free-since-2020",
        "aorta aoaching aor aoa ksk_ sk- eyJ eyJust.so",
        "the access token was refused: refresh it; authorization is missing, and so is the client secret",
        "max_tokens: 5, refresh tokens: 3",
        "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
        "0d9c0a1e-8a37-4b0e-9d23-1234567890ab msg_01HZX4M5N6P7Q8R9S0T1U2V3W4",
    ],
)
def test_ordinary_words(text: str) -> None:
    """They are left as they are."""
    assert Redactor(["something-else"]).redact(text) == text


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_known_secrets(start: Start, log_format: LogFormat, tmp_path: Path) -> None:
    """A secret of the process is masked in every text: of ours, of libraries, of tracebacks, in every output."""
    secret = "correct \"horse\" 'battery' ü"
    path = tmp_path / "log"
    logger = start(log_format=log_format, file=path, secrets=("battery' ü", secret)).logger

    text = f"a {secret}"
    logger.info("x", nested={secret: 1})
    logger.info(text, note=secret, repr=repr([secret]), nested={secret: {secret}}, data=secret.encode())
    logging.getLogger("coredis").error("sent %r and %s", secret, secret.encode(), stack_info=True)
    try:
        _fail(ExceptionGroup(secret, [ValueError(json.dumps(secret)), KeyError(secret)]))
    except ExceptionGroup:
        logger.exception("x")

    for written in (start.read(), path.read_text(encoding="utf-8")):
        assert "a ***" in written
        assert not {"correct", "battery"} & set(re.findall("[a-z]+", written.replace("test_known", "")))


def test_a_short_secret_is_no_word_to_mask(start: Start) -> None:
    """Else no line could have that word or number any more; one of eight characters counts."""
    start(secrets=("info", "1234567", "12345678", "")).logger.info("info", note="1234567 12345678")

    (line,) = parse_lines(start.read())
    assert (line["level"], line["message"], line["note"]) == ("info", "info", "1234567 ***")
