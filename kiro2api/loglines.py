"""How a log record becomes the text of a line: which fields, in which order, as JSON or for people, without secrets.

Redaction here is the second line of defence, for what a caller should not have logged in the first place: a value is
masked by the name it goes by, a bearer wherever it stands.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

LogFormat = Literal["json", "text"]

MASK = "***"
MAX_DEPTH = 6
"""Containers within containers that are written out; what lies deeper is left out, which also ends cycles."""
RESERVED_KEYS = ("timestamp", "level", "message")
LEVEL_WIDTH = 7
MESSAGE_WIDTH = 32
"""Columns; a longer message pushes its own fields to the right."""
COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
COLOUR_OFF = "\x1b[0m"

_SECRET_NAMES = frozenset(
    {"authorization", "proxyauthorization", "apikey", "xapikey", "clientkey", "cookie", "setcookie", "password"}
)
_BEARER = re.compile(r"\b(bearer)\s+[^\s\"',;]+", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"((?:refresh[_-]?token|access[_-]?token|client[_-]?secret|x-api-key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}&]+",
    re.IGNORECASE,
)


def build_formatter(log_format: LogFormat, *, colour: bool) -> logging.Formatter:
    """What turns a record of structlog or of the standard library into its line, without the line's end."""
    render: Callable[[EventDict], str] = _render_json if log_format == "json" else _TextRenderer(colour=colour)
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.processors.format_exc_info, _arrange, lambda _logger, _name, fields: render(fields)]
    )


def _arrange(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The fields in the order in which they are written, plain values only, secrets masked."""
    record: logging.LogRecord = event.pop("_record")
    written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head: dict[str, object] = {
        "timestamp": written.removesuffix("+00:00") + "Z",
        "level": record.levelname.lower(),
        "message": _redact_text(str(event.pop("event", ""))),
    }
    if not event.pop("_from_structlog"):
        head["logger"] = record.name
    fields = _redact_fields(event, depth=0)
    return head | {f"{key}_" if key in RESERVED_KEYS else key: value for key, value in fields.items()}


def _redact(value: object, *, depth: int) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _redact_text(value)
        case Mapping() | list() | tuple() if depth >= MAX_DEPTH:
            return "..."
        case Mapping():
            return _redact_fields(value, depth=depth + 1)
        case (str() | bytes() as name, _) if _is_secret(_decode(name), ""):
            # A header as a pair, as ASGI and httpx have them.
            return [_decode(name), MASK]
        case list() | tuple():
            return [_redact(item, depth=depth + 1) for item in value]
        case bytes():
            return _redact_text(_decode(value))
        case _:
            return _redact_text(repr(value))


def _redact_fields(fields: Mapping[Any, object], *, depth: int) -> dict[str, object]:
    named = ((_decode(key) if isinstance(key, bytes) else str(key), value) for key, value in fields.items())
    return {name: MASK if _is_secret(name, value) else _redact(value, depth=depth) for name, value in named}


def _redact_text(text: str) -> str:
    return _ASSIGNED.sub(rf"\1{MASK}", _BEARER.sub(rf"\1 {MASK}", text))


def _is_secret(name: str, value: object) -> bool:
    """Whether ``value`` is one by its name; numbers under names like ``output_tokens`` are counts."""
    plain = name.lower().replace("-", "").replace("_", "")
    if value is None:
        return False
    if plain in _SECRET_NAMES or "secret" in plain:
        return True
    return "token" in plain and (plain.endswith("token") or not isinstance(value, int | float))


def _decode(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")


def _render_json(fields: EventDict) -> str:
    return json.dumps(fields, ensure_ascii=False)


class _TextRenderer:
    """Lines for people: aligned, one a record, control characters escaped; a traceback follows on lines of its own."""

    def __init__(self, *, colour: bool) -> None:
        self._colours = COLOURS if colour else {}

    def __call__(self, fields: EventDict) -> str:
        rest = dict(fields)
        timestamp, level, message = (rest.pop(key) for key in RESERVED_KEYS)
        traceback = str(rest.pop("exception", ""))
        colour = self._colours.get(level, "")
        shown = f"{colour}{level.upper():<{LEVEL_WIDTH}}{COLOUR_OFF if colour else ''}"
        words = [timestamp, shown, f"{_escape(message):<{MESSAGE_WIDTH}}"]
        words += [f"{_escape(key)}={_render_value(value)}" for key, value in rest.items()]
        lines = [" ".join(words).rstrip(), *(f"  {_escape(line)}" for line in traceback.splitlines())]
        return "\n".join(lines)


def _render_value(value: object) -> str:
    if not isinstance(value, str):
        return _escape(json.dumps(value, ensure_ascii=False))
    is_plain = value and value.isprintable() and not set(value) & set(" \"'=")
    return value if is_plain else repr(value)


def _escape(text: str) -> str:
    """``text`` on one line, without anything that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
