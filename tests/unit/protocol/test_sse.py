"""Server-sent events as bytes."""

import pytest

from kiro2api.protocol.sse import MultipleLinesError, encode_comment, encode_event


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"[DONE]", None, b"data: [DONE]\n\n"),
        (b'{"a":1}', "message_stop", b'event: message_stop\ndata: {"a":1}\n\n'),
        (b"", None, b"data: \n\n"),
        ("中\N{LINE SEPARATOR}%s".encode(), None, "data: 中\\u2028%s\n\n".encode()),
    ],
)
def test_event(data: bytes, name: str | None, expected: bytes) -> None:
    """An event is its name, if any, one line of data and an empty line."""
    assert encode_event(data, name) == expected


@pytest.mark.parametrize(
    ("data", "name", "field"),
    [
        (b"a\nb", None, "data"),
        (b"a\r", "ping", "data"),
        (b"a", "pi\nng", "event"),
        (b"a", "ping\r", "event"),
    ],
)
def test_event_with_line_break(data: bytes, name: str | None, field: str) -> None:
    """Neither CR nor LF may stand in a field, and the error names the field."""
    with pytest.raises(MultipleLinesError) as caught:
        encode_event(data, name)
    assert caught.value.field == field
    assert isinstance(caught.value, ValueError)


def test_comment() -> None:
    """A comment begins with a colon and ends with an empty line."""
    assert encode_comment("保持") == ": 保持\n\n".encode()


def test_comment_with_line_break() -> None:
    """A comment cannot smuggle an event in."""
    with pytest.raises(MultipleLinesError):
        encode_comment("x\ndata: y")
