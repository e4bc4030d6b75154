"""On which terms connections are served: hypercorn's configuration with what it has no place for."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import trio
from hypercorn.config import Config

QUIET_SECONDS = 10.0
"""Between two lines about what may happen many times a second."""


class Log(Protocol):
    """The part of a structured logger that is used here."""

    def warning(self, event: str, **fields: object) -> object: ...


class Faults:
    """What went wrong on connections: each a line of the log and a count, never more than the exceptions' names.

    Args:
        log: An exception's text or traceback may show what a client sent; neither gets there.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.counts: Counter[str] = Counter()
        """By the event's name in the log."""
        self._unreported: Counter[str] = Counter()
        self._quiet_until: dict[str, float] = {}

    def report(self, event: str, error: BaseException | None = None) -> None:
        self.counts[event] += 1
        if error is None:
            self._log.warning(event)
        else:
            names = sorted({type(leaf).__name__ for leaf in _leaves(error)})
            self._log.warning(event, causes=", ".join(names))

    def report_seldom(self, event: str) -> None:
        """The same for what comes in floods: at most one line in ten seconds, with the number that it stands for."""
        self.counts[event] += 1
        self._unreported[event] += 1
        if trio.current_time() >= self._quiet_until.get(event, 0.0):
            self._quiet_until[event] = trio.current_time() + QUIET_SECONDS
            self._log.warning(event, times=self._unreported.pop(event))


class EdgeConfig(Config):
    """What hypercorn's own classes and ours are told about the connections that they serve.

    Args:
        faults: Where they report.
        header_seconds: For a TLS handshake, for a request's head from the moment of connecting, and for an idle
            connection until it is closed.
        send_seconds: Without any progress of what a client takes: of a connection, or of one HTTP/2 stream.
        grace_seconds: For what is running when the server is told to stop.
        http2: Whether HTTP/2 is spoken at all.
        max_connections: At once; beyond that the one that is idle for longest makes room.
    """

    def __init__(  # noqa: PLR0913  each is a term of its own, with a default
        self,
        *,
        faults: Faults,
        header_seconds: float = 10.0,
        send_seconds: float = 60.0,
        grace_seconds: float = 25.0,
        http2: bool = True,
        max_connections: int = 1024,
    ) -> None:
        super().__init__()
        self.faults = faults
        self.send_seconds = send_seconds
        self.http2 = http2
        self.max_connections = max_connections
        self.alpn_protocols = ["h2", "http/1.1"] if http2 else ["http/1.1"]
        self.keep_alive_timeout = header_seconds
        self.graceful_timeout = grace_seconds
        self.accesslog = None  # it copies the whole environment for each request; each exchange has a line of its own
        self.include_server_header = False


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for child in error.exceptions:
            yield from _leaves(child)
    else:
        yield error
