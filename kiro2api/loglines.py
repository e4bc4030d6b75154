"""How a log record becomes the text of a line: which fields, in which order, as JSON or for people, without secrets.

Redaction here is the second line of defence, for what a caller should not have logged in the first place: a value is
masked by the name it goes by, and inside any text whatever looks like a secret, or is one that the process knows.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote

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

MIN_KNOWN_LENGTH = 8
"""Characters of a secret that is looked for in every text; a shorter one may be an ordinary word or number."""
NAMES_CACHED = 1024

_SECRET_NAMES = frozenset(
    {
        "adminkey",
        "apikey",
        "authorization",
        "clientkey",
        "cookie",
        "password",
        "proxyauthorization",
        "setcookie",
        "statekey",
        "xapikey",
    }
)
_LOOKS_SECRET = re.compile(
    r"""
    (?P<head>  # which tells what follows, and is kept
      (?i: \bbearer\s+
        | (?: (?:refresh|access)[_-]?token | client[_-]?secret | x-api-key | authorization )
          (?: \\* ["']? \s* [:=] | \\* ["'] \s* , ) \s* (?: b? \\* ["'] )?
          (?: (?:bearer|basic|digest|negotiate|token) \s+ )?
      )
    )
    (?: (?<=["']) [^"'\\]+ | [^\s"',;}&]+ )
    | (?<![A-Za-z0-9])
      (?: ao[ar] [A-Za-z0-9_\-:+/=.]{20,}  # refresh and access tokens of Kiro and of AWS SSO
        | ksk_ [A-Za-z0-9_-]{8,}  # API keys of Kiro
        | sk- [A-Za-z0-9_-]{16,}  # of Anthropic and OpenAI, which people put into the wrong variable
        | eyJ [A-Za-z0-9_-]{8,} \. [A-Za-z0-9_-]+ (?: \. [A-Za-z0-9_-]* )*  # JWTs
      )
    """,
    re.VERBOSE | re.ASCII,
)
_WITHOUT_TEXT = frozenset({int, float, bool, type(None)})
_HINTS = ("aoa", "aor", "ksk_", "sk-", "eyj", "bearer", "token", "secret", "api-key", "authorization")
"""One of them stands, in lower case, in each text that the expression finds something in; they are found faster."""


class Redactor:
    """The processor that masks secrets in every text of an event of plain values; its own names are the program's.

    Args:
        known: Secrets of this process; those shorter than ``MIN_KNOWN_LENGTH`` are left out.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        spelt = {text for secret in known if len(secret) >= MIN_KNOWN_LENGTH for text in _spell(secret)}
        # The longest first: one may hold another.
        self._known = sorted(spelt, key=lambda text: (-len(text), text))

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        texts: list[str] = []
        _gather(event.values(), texts)
        if not self._is_suspicious("\n".join(texts)):
            return event
        return {name: self._mask(value) for name, value in event.items()}

    def redact(self, text: str) -> str:
        """``text`` with a mask in place of each secret."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        return _LOOKS_SECRET.sub(rf"\g<head>{MASK}", text)

    def _is_suspicious(self, text: str) -> bool:
        lowered = text.lower()
        # Lists, since a generator takes longer than all of the searches.
        is_hinted = any([hint in lowered for hint in _HINTS])  # noqa: C419
        is_known = any([secret in text for secret in self._known])  # noqa: C419
        return is_known or (is_hinted and _LOOKS_SECRET.search(text) is not None)

    def _mask(self, value: object) -> object:
        match value:
            case str():
                return self.redact(value)
            case dict():
                return {self.redact(name): self._mask(item) for name, item in value.items()}
            case list():
                return [self._mask(item) for item in value]
            case _:
                return value


def _spell(secret: str) -> tuple[str, ...]:
    """The secret as it is, and as it stands in the ``repr`` of a text or of bytes, in JSON, and in a URL."""
    data = secret.encode("utf-8", "backslashreplace")
    # The quotes of both kinds make repr escape an apostrophe, as it does where the secret is a part of such a text.
    text_escaped, data_escaped = repr(f"\"{secret}'")[2:-3], repr(b'"' + data + b"'")[3:-3]
    return (
        secret,
        text_escaped,
        text_escaped.replace("\\'", "'"),
        data_escaped,
        data_escaped.replace("\\'", "'"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(data),
        quote(data, safe=""),
    )


def _gather(values: Iterable[object], texts: list[str]) -> None:
    """Adds every text among ``values`` and within them, names included."""
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        elif type(value) in _WITHOUT_TEXT:
            continue
        elif isinstance(value, dict):
            texts.extend(value)
            _gather(value.values(), texts)
        elif isinstance(value, list):
            _gather(value, texts)


def build_formatter(log_format: LogFormat, *, colour: bool, redactor: Redactor) -> logging.Formatter:
    """What turns a record of structlog or of the standard library into its line, without the line's end."""
    render: Callable[[EventDict], str] = _render_json if log_format == "json" else _TextRenderer(colour=colour)
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.processors.format_exc_info,
            _arrange,
            redactor,
            lambda _logger, _name, fields: render(fields),
        ]
    )


def _arrange(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The fields in the order in which they are written, plain values only, those masked that go by a secret's name."""
    record: logging.LogRecord = event.pop("_record")
    written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head: dict[str, object] = {
        "timestamp": written.removesuffix("+00:00") + "Z",
        "level": record.levelname.lower(),
        "message": str(event.pop("event", "")),
    }
    if not event.pop("_from_structlog"):
        head["logger"] = record.name
    fields = _simplify_fields(event, depth=0)
    return head | {f"{key}_" if key in RESERVED_KEYS else key: value for key, value in fields.items()}


def _simplify(value: object, *, depth: int) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping() | list() | tuple() if depth >= MAX_DEPTH:
            return "..."
        case Mapping():
            return _simplify_fields(value, depth=depth + 1)
        case (str() | bytes() as name, _) if _is_secret(_decode(name), ""):
            # A header as a pair, as ASGI and httpx have them.
            return [_decode(name), MASK]
        case list() | tuple():
            return [_simplify(item, depth=depth + 1) for item in value]
        case bytes():
            return _decode(value)
        case _:
            return repr(value)


def _simplify_fields(fields: Mapping[Any, object], *, depth: int) -> dict[str, object]:
    named = ((_decode(key) if isinstance(key, bytes) else str(key), value) for key, value in fields.items())
    return {name: MASK if _is_secret(name, value) else _simplify(value, depth=depth) for name, value in named}


def _is_secret(name: str, value: object) -> bool:
    """Whether ``value`` is one by its name; numbers under names like ``output_tokens`` are counts."""
    if value is None:
        return False
    is_ever, is_unless_number = _judge(name)
    return is_ever or (is_unless_number and not isinstance(value, int | float))


@lru_cache(NAMES_CACHED)
def _judge(name: str) -> tuple[bool, bool]:
    """Whether anything of that name is secret, and whether it is unless it is a number."""
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _SECRET_NAMES or "secret" in plain or plain.endswith("token"), "token" in plain


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
