"""What can go wrong with credentials: reading them, refreshing them, finding one that can be used.

A message is for the person at the client and names no credential; labels, statuses and reason codes stand in
``detail``. Neither ever holds a token or what the upstream wrote.
"""

import math

from kiro2api.errors import ErrorKind, Kiro2ApiError

_NO_CREDENTIAL = (
    "This proxy has no upstream credential that can be used: its own login is refused, suspended or cannot be renewed. "
    "Your client key is not the cause; whoever runs the proxy has to look at its credentials."
)
_QUOTA_EXHAUSTED = "The upstream quota of this proxy's credentials is used up until it is renewed."
_RATE_LIMITED = "The upstream throttles this proxy's credentials; please try again in {seconds} s."
_SHUTTING_DOWN = "This proxy is shutting down; please try again."


class CredentialSourceError(Kiro2ApiError):
    """The configured credentials cannot be read.

    Attributes:
        position: Which entry of the list is at fault, counted from 1 with the blank ones; ``None`` for all of it.
        source: The name of the variable, or the path of the file, that is at fault; empty if none is configured.
    """

    def __init__(self, message: str, *, position: int | None = None, source: str = "") -> None:
        super().__init__(message if position is None else f"entry {position}: {message}")
        self.position = position
        self.source = source


class SharedFileChangedError(CredentialSourceError):
    """The program that shares a file has put another refresh token there: what we have is not to replace it."""


class RefreshError(Kiro2ApiError):
    """A refresh token bought no access token.

    Args:
        detail: A status or a reason code, for the log.
        retry_after: Seconds that the service asked to be left alone.
    """

    kind = ErrorKind.NO_CREDENTIAL

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(_NO_CREDENTIAL, retry_after=retry_after, detail=detail)


class RefreshRejectedError(RefreshError):
    """The refresh token is refused for good: only a new login helps."""


class RefreshRefusedError(RefreshError):
    """The service says no (401, 403) and not that the refresh token is dead: the account or an edge may be why."""


class RefreshFailedError(RefreshError):
    """No access token this time; the same refresh token may do later."""


class NoCredentialError(Kiro2ApiError):
    """No credential can be leased.

    Args:
        kind: ``RATE_LIMITED``, ``QUOTA_EXHAUSTED``, ``NO_CREDENTIAL``, or ``OVERLOADED`` while shutting down.
        retry_after: Seconds until the first credential comes back, if that is known and worth waiting for.
        detail: The state of each credential, for the log.
    """

    def __init__(self, kind: ErrorKind, *, retry_after: float | None = None, detail: str = "") -> None:
        super().__init__(_render_reason(kind, retry_after), retry_after=retry_after, detail=detail)
        self.kind = kind


def _render_reason(kind: ErrorKind, retry_after: float | None) -> str:
    if kind is ErrorKind.RATE_LIMITED:
        return _RATE_LIMITED.format(seconds=max(1, math.ceil(retry_after or 0)))
    if kind is ErrorKind.QUOTA_EXHAUSTED:
        return _QUOTA_EXHAUSTED
    if kind is ErrorKind.OVERLOADED:
        return _SHUTTING_DOWN
    return _NO_CREDENTIAL
