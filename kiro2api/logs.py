"""Log lines, ours and the libraries', in one format, on standard error and in a file, without secrets.

Only the composition root calls :func:`configure_logging`; everything else is handed a logger. Logging never raises into
the program: a line that cannot be written is counted. Redaction here is the second line of defence, for what a caller
should not have logged in the first place: a value is masked by the name it goes by, a bearer wherever it stands.
"""

import json
import logging
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Literal, override

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "text"]

PROGRAM_LOGGER = "kiro2api"
WORDY_LOGGERS = ("httpx", "httpcore", "httpx2", "httpcore2", "hpack", "h2", "hypercorn.error")
"""Libraries that log URLs or header values below WARNING, or what we say ourselves."""

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


class Logs:
    """The outputs of the process's log lines until ``close``, and the program's own ``logger``."""

    def __init__(self, logger: FilteringBoundLogger, outputs: tuple[logging.Handler, ...]) -> None:
        self.logger = logger
        self._outputs = outputs

    @property
    def dropped(self) -> int:
        """Lines that an output could not take since the start, counted for each output."""
        return sum(output.dropped for output in self._outputs if isinstance(output, _Output))

    def close(self) -> None:
        """Take the outputs away from the process's logging and close them; a second call does nothing."""
        root = logging.getLogger()
        for output in self._outputs:
            root.removeHandler(output)
            output.close()


def configure_logging(*, level: LogLevel, log_format: LogFormat, file: Path | None, console: bool) -> Logs:
    """Send all log lines of this process to standard error (``console``) and to ``file``.

    Libraries log from INFO upwards at most, those that log URLs and headers from WARNING: at DEBUG some of them
    write out what they send.

    Returns:
        The outputs, for the caller to close.
    """
    screen = _Console(log_format)
    outputs: list[logging.Handler] = [screen] if console else []
    if file is not None:
        outputs.append(_File(file, log_format, screen=screen, is_copied_to_screen=console))
    if not outputs:
        # Without any handler, the standard library prints warnings to standard error by itself.
        outputs.append(logging.NullHandler())
    root = logging.getLogger()
    for output in outputs:
        root.addHandler(output)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(threshold, logging.INFO))
    for name in WORDY_LOGGERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    program = logging.getLogger(PROGRAM_LOGGER)
    program.setLevel(threshold)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        program,
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return Logs(logger, tuple(outputs))


class _Output(logging.Handler, ABC):
    """A place that takes lines, and counts those that it cannot take."""

    def __init__(self, log_format: LogFormat, *, colour: bool) -> None:
        super().__init__()
        self.dropped = 0
        self.setFormatter(_build_formatter(log_format, colour=colour))

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write_line(self.format(record), record)
        except Exception:  # noqa: BLE001 - a value whose repr fails, or a closed stream, must not end a request
            self.dropped += 1

    @abstractmethod
    def write_line(self, line: str, record: logging.LogRecord) -> None:
        """Write ``line``, which is ``record`` in this output's format."""


class _Console(_Output):
    """Standard error, as it is when the output is made."""

    def __init__(self, log_format: LogFormat) -> None:
        self._stream = sys.stderr
        # A process that was started without standard error has None there.
        super().__init__(log_format, colour=getattr(self._stream, "isatty", bool)())

    @override
    def write_line(self, line: str, record: logging.LogRecord) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class _File(_Output):
    """A file that is opened anew when it was renamed or removed.

    While it takes no lines, they go to ``screen``, unless that gets a copy anyway. Nothing is buffered: what a full
    disk refused is not tried again.
    """

    def __init__(self, path: Path, log_format: LogFormat, *, screen: _Console, is_copied_to_screen: bool) -> None:
        super().__init__(log_format, colour=False)
        self._path = path.absolute()
        self._screen = screen
        self._is_copied_to_screen = is_copied_to_screen
        self._stream: FileIO | None = None
        self._missing = 0

    @override
    def write_line(self, line: str, record: logging.LogRecord) -> None:
        try:
            if self._missing:
                self._append(self.format(_build_notice("log lines are missing here: %d", self._missing)))
                self._missing = 0
            self._append(line)
        except OSError as exc:
            if not self._missing:
                self._screen.handle(_build_notice("log file cannot be written: %s: %s", self._path, exc.strerror))
            self._missing += 1
            self.dropped += 1
            if not self._is_copied_to_screen:
                self._screen.handle(record)

    def _append(self, line: str) -> None:
        data = (line + "\n").encode("utf-8", "backslashreplace")
        stream = self._open()
        while data:
            data = data[stream.write(data) :]

    def _open(self) -> FileIO:
        if self._stream is not None and not self._is_current(self._stream):
            self._stream.close()
            self._stream = None
        if self._stream is None:
            self._stream = FileIO(self._path, "a")
        return self._stream

    def _is_current(self, stream: FileIO) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(stream.fileno()))
        except FileNotFoundError:
            return False

    @override
    def close(self) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None
        super().close()


def _build_notice(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(PROGRAM_LOGGER, logging.WARNING, __file__, 0, message, args, None)


def _build_formatter(log_format: LogFormat, *, colour: bool) -> logging.Formatter:
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
