"""Log lines, ours and the libraries', on standard error and in a file, written by threads that may wait for both.

Only the composition root calls :func:`configure_logging`; everything else is handed a logger. Whoever logs formats the
line and puts it into the bounded queue of each output; a daemon thread of that output writes it. So neither a reader of
standard error that has stopped, nor a slow disk, holds up the event loop or the end of the process. Logging never
raises into the program: a line that cannot be queued or written is counted, and the count is told in a line later.
"""

import logging
import os
import select
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, TextIO, override

import structlog
from structlog.typing import FilteringBoundLogger

from kiro2api.loglines import LogFormat, Redactor, build_formatter

LogLevel = Literal["debug", "info", "warning", "error"]

PROGRAM_LOGGER = "kiro2api"
WORDY_LOGGERS = ("httpx", "httpcore", "httpx2", "httpcore2", "hpack", "h2", "hypercorn.error", "coredis")
"""Libraries that log URLs or header values below WARNING, or what we say ourselves."""

MAX_QUEUED_LINES = 10_000
"""For each output: some seconds at the highest rate, a few megabytes. Lines beyond are dropped."""
CLOSE_SECONDS = 2.0
"""For all outputs together to write what is queued when they are closed; what a stalled reader leaves is given up."""


class Logs:
    """The outputs of the process's log lines until ``close``, and the program's own ``logger``."""

    def __init__(
        self, logger: FilteringBoundLogger, handlers: tuple[logging.Handler, ...], outputs: "tuple[_Output, ...]"
    ) -> None:
        self.logger = logger
        self._handlers = handlers
        self._outputs = outputs

    @property
    def dropped(self) -> int:
        """Lines that an output could not take or write since the start, counted for each output."""
        return sum(output.dropped for output in self._outputs)

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait until what was logged so far is written, ``seconds`` at most; whether it is."""
        deadline = time.monotonic() + seconds
        return all(output.drain(deadline) for output in self._outputs)

    def close(self) -> None:
        """Take the outputs away from the process's logging, write what is queued, and end their threads.

        Takes ``CLOSE_SECONDS`` at most; a thread that is not done by then ends with the process. A second call does
        nothing.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
        for output in self._outputs:
            output.stop(deadline)


def configure_logging(
    *, level: LogLevel, log_format: LogFormat, file: Path | None, console: bool, secrets: Iterable[str] = ()
) -> Logs:
    """Send all log lines of this process to standard error (``console``) and to ``file``, without ``secrets``.

    Libraries log from INFO upwards at most, those that log URLs and headers from WARNING: at DEBUG some of them
    write out what they send.

    Returns:
        The outputs, for the caller to close. A process that was forked has to configure its own.
    """
    redactor = Redactor(secrets)
    screen = _Console(log_format, redactor)
    outputs: tuple[_Output, ...] = (screen,)
    handlers: list[logging.Handler] = [screen] if console else []
    if file is not None:
        # Before the screen, which gets what it cannot write.
        formatter = build_formatter(log_format, colour=False, redactor=redactor)
        outputs = (_File(file, formatter, screen=screen, is_copied_to_screen=console), screen)
        handlers.append(outputs[0])
    if not handlers:
        # Without any handler, the standard library prints warnings to standard error by itself.
        handlers.append(logging.NullHandler())
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
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
    return Logs(logger, tuple(handlers), outputs)


class _Output(logging.Handler, ABC):
    """A place that lines go to, by a queue and a thread of its own, which begins with the first line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        # Its put may be interrupted by another: a finaliser that logs while a line is queued locks nobody out.
        self._queue: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._refused = 0  # by those who log, under the handler's lock
        self._missing = 0  # the same, since a line was last taken
        self._unwritten = 0  # by the thread

    @property
    def dropped(self) -> int:
        return self._refused + self._unwritten

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._put(self.format(record))
        except Exception:  # noqa: BLE001 - a value whose repr fails, or no thread to be had, must not end a request
            self._refused += 1

    def take_over(self, line: str) -> None:
        """Queues a line for another output, or about it."""
        self.acquire()
        try:
            self._put(line)
        finally:
            self.release()

    def drain(self, deadline: float) -> bool:
        """Waits until the lines that are queued now have been written; whether they are, by ``deadline``."""
        seconds = max(0.0, deadline - time.monotonic())
        if self._thread is None:
            return True
        if self._is_stopped:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def stop(self, deadline: float) -> None:
        """Takes no more lines, and waits until ``deadline`` for the end of the thread."""
        self.acquire()
        is_first, self._is_stopped = not self._is_stopped, True
        self.release()
        if is_first and self._thread is not None:
            if self._missing:
                self._queue.put(self._render_missing(self._missing))
            self._queue.put(None)
            self._thread.join(max(0.0, deadline - time.monotonic()))
        self.close()

    @abstractmethod
    def write_line(self, line: str) -> None:
        """Writes ``line``, however long that takes. For the thread alone."""

    def leave(self) -> None:
        """Closes what the thread has opened. For the thread alone."""

    def _put(self, line: str) -> None:
        if self._is_stopped or self._queue.qsize() >= MAX_QUEUED_LINES:
            self._refused += 1
            self._missing += 1
            return
        if self._thread is None:
            thread = threading.Thread(target=self._write_lines, name=f"log {type(self).__name__}", daemon=True)
            thread.start()
            self._thread = thread
        if self._missing:
            self._queue.put(self._render_missing(self._missing))
            self._missing = 0
        self._queue.put(line)

    def _write_lines(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self.write_line(item)
            except Exception:  # noqa: BLE001 - a closed stream, or none: the next line may fare better
                self._unwritten += 1
        self.leave()

    def _render_missing(self, count: int) -> str:
        return self.render_notice("log lines are missing here: %d", count)

    def render_notice(self, message: str, *args: object) -> str:
        """A warning about an output, in this output's format."""
        return self.format(logging.LogRecord(PROGRAM_LOGGER, logging.WARNING, __file__, 0, message, args, None))


class _Console(_Output):
    """Standard error, as it is when the output is made.

    Its descriptor is written to, if it has one, past the stream's buffer: a thread that waits there would hold the
    buffer's lock, and the interpreter aborts when it cannot have that at its end.
    """

    def __init__(self, log_format: LogFormat, redactor: Redactor) -> None:
        # A process that was started without standard error has None there.
        self._stream: TextIO | None = sys.stderr
        colour = getattr(self._stream, "isatty", bool)()
        super().__init__(build_formatter(log_format, colour=colour, redactor=redactor))

    @override
    def write_line(self, line: str) -> None:
        stream = self._stream
        if stream is None:
            raise BrokenPipeError
        try:
            descriptor = stream.fileno()
        except OSError:
            stream.write(line + "\n")
            stream.flush()
        else:
            _write_all(descriptor, (line + "\n").encode(stream.encoding, "backslashreplace"))


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever shares the pipe may have made it so
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


class _File(_Output):
    """A file that is opened anew when it was renamed or removed.

    While it takes no lines, they go to ``screen``, unless that gets a copy anyway. Nothing is buffered: what a full
    disk refused is not tried again.
    """

    def __init__(
        self, path: Path, formatter: logging.Formatter, *, screen: _Console, is_copied_to_screen: bool
    ) -> None:
        super().__init__(formatter)
        self._path = path.absolute()
        self._screen = screen
        self._is_copied_to_screen = is_copied_to_screen
        self._stream: FileIO | None = None
        self._unwritten_in_a_row = 0

    @override
    def write_line(self, line: str) -> None:
        try:
            if self._unwritten_in_a_row:
                self._append(self._render_missing(self._unwritten_in_a_row))
                self._unwritten_in_a_row = 0
            self._append(line)
        except OSError as exc:
            if not self._unwritten_in_a_row:
                screen = self._screen
                reason = exc.strerror
                screen.take_over(screen.render_notice("log file cannot be written: %s: %s", self._path, reason))
            self._unwritten_in_a_row += 1
            self._unwritten += 1
            if not self._is_copied_to_screen:
                self._screen.take_over(line)

    @override
    def leave(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def _append(self, line: str) -> None:
        data = (line + "\n").encode("utf-8", "backslashreplace")
        stream = self._open()
        while data:
            data = data[stream.write(data) :]

    def _open(self) -> FileIO:
        if self._stream is not None and not self._is_current(self._stream):
            self.leave()
        if self._stream is None:
            self._stream = FileIO(self._path, "a")
        return self._stream

    def _is_current(self, stream: FileIO) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(stream.fileno()))
        except FileNotFoundError:
            return False
