"""Heads written and read."""

import time

import pytest

from kiro2api.upstream.direct.heads import MalformedMessageError, encode_head, parse_head


def test_a_request_s_head() -> None:
    """One line for the request, one for each field, and a blank one."""
    head = encode_head(b"POST", b"/a?b=c", [(b"host", b"kiro.test"), (b"x", b"1")])
    assert head == b"POST /a?b=c HTTP/1.1\r\nhost: kiro.test\r\nx: 1\r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\0b", b"a\rb"])
def test_a_value_stays_one_line(value: bytes) -> None:
    """A token with a line break in it would smuggle in fields of its own."""
    with pytest.raises(ValueError, match="line break"):
        encode_head(b"GET", b"/", [(b"authorization", value)])


def test_an_answer_s_head() -> None:
    """Names in lower case, values without the blanks around them, in their order."""
    head = parse_head(b"HTTP/1.1 200 OK\r\nContent-Type:  a/b \r\nX:\r\nx:\t2\t\r\n\r\n")
    assert (head.status, head.minor_version) == (200, 1)
    assert head.fields == [(b"content-type", b"a/b"), (b"x", b""), (b"x", b"2")]


@pytest.mark.parametrize("line", [b"HTTP/1.1 204", b"HTTP/1.1 204 ", b"HTTP/1.0 204 No Content", b"HTTP/1.1 204 \xe9"])
def test_a_status_line(line: bytes) -> None:
    """The words behind the status are free, and may be missing."""
    assert parse_head(line + b"\r\n\r\n").status == 204


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n a: folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : blank\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: zero \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: bare \r return\r\n\r\n",
    ],
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(MalformedMessageError):
        parse_head(data)


@pytest.mark.parametrize("value", [b" " * 60_000, b"a" + b" \t" * 30_000 + b"a", b" " * 60_000 + b"\0"])
def test_blanks_cost_no_time(value: bytes) -> None:
    """However many: a server could stop the loop with them."""
    began = time.perf_counter()
    try:
        assert parse_head(b"HTTP/1.1 200 OK\r\na:" + value + b"\r\n\r\n").fields == [(b"a", value.strip())]
    except MalformedMessageError:
        assert b"\0" in value
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("version", "fields", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"connection: x, close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"connection: Keep-Alive\r\n", True),
    ],
)
def test_whether_a_connection_can_be_used_again(version: bytes, fields: bytes, *, keeps: bool) -> None:
    """As its version has it, unless a field says otherwise."""
    assert parse_head(b"HTTP/" + version + b" 200 OK\r\n" + fields + b"\r\n").keeps_alive is keeps
