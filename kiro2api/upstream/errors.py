"""What can go wrong on the way to the upstream and back, beside what the upstream itself reports.

``detail`` names the limit that ran out, or the exception and all that caused it: httpx's own text is often empty.
"""

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import TRY_AGAIN, UpstreamProtocolError

MAX_CAUSES = 6
"""Exceptions of one chain that are worth a line of the log."""
MAX_CAUSE_LENGTH = 400
"""Characters for all of them: a damaged answer is quoted in some."""


class UpstreamUnreachableError(Kiro2ApiError):
    """No connection, or none in time: nothing was sent, so nothing was charged."""

    kind = ErrorKind.UPSTREAM
    retry_safe = True

    def __init__(self, cause: BaseException) -> None:
        super().__init__("The upstream cannot be reached; please try again.", detail=describe_cause(cause))


class UpstreamTlsError(UpstreamUnreachableError):
    """Somebody listens, but not as the upstream: no TLS, or a certificate that proves nothing."""


class UpstreamBrokenError(Kiro2ApiError):
    """The connection broke, or spoke no HTTP, while the answer was awaited or read."""

    kind = ErrorKind.UPSTREAM

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"The connection to the upstream broke off; {TRY_AGAIN}.", detail=describe_cause(cause))


class UpstreamSilentError(Kiro2ApiError):
    """The upstream sent nothing for longer than a request of this kind may take.

    Attributes:
        seconds: How long.
    """

    kind = ErrorKind.UPSTREAM_TIMEOUT

    def __init__(self, seconds: float, *, limit: str) -> None:
        super().__init__(
            f"The upstream sent nothing for {seconds:.0f} seconds; {TRY_AGAIN}.", detail=f"{limit} limit: {seconds:g} s"
        )
        self.seconds = seconds


class NoFirstByteError(UpstreamSilentError):
    """Not a byte of an answer came in time; the request may well be at work, and charged."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, limit="first byte")


class UpstreamStalledError(UpstreamSilentError):
    """The answer began and then stood still."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, limit="idle")


class AnswerTooLongError(Kiro2ApiError):
    """The answer went on until the backstop.

    Attributes:
        seconds: How long that is, all attempts of the request together.
    """

    kind = ErrorKind.UPSTREAM_TIMEOUT

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The answer took longer than {seconds:.0f} seconds.", detail=f"total limit: {seconds:g} s")
        self.seconds = seconds


class NotAnEventStreamError(UpstreamProtocolError):
    """Status 200 with something else in it: a captive portal's page, for instance."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"status 200 with content type {media_type[:60]!r}")


class ContentCodingError(UpstreamProtocolError):
    """The body is coded in a way that was not asked for and cannot be undone."""


def describe_cause(error: BaseException) -> str:
    """``error`` and what lies beneath it, outermost first."""
    parts: list[str] = []
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            break
        if repr(cause) not in parts:  # httpx repeats httpcore word for word
            parts.append(repr(cause))
        cause = cause.__cause__ or cause.__context__  # httpcore raises "from None" what it has raised before
    return " from ".join(parts)[:MAX_CAUSE_LENGTH]
