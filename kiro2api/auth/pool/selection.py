"""What the pool is asked and what it answers; values only."""

import enum
from dataclasses import dataclass


class ChoiceRule(enum.Enum):
    """Which of several good credentials comes first when no conversation says otherwise."""

    ROUND_ROBIN = "round-robin"
    """The one that was leased longest ago."""
    LEAST_USED = "least-used"
    """The one with the fewest leases in flight, then with the fewest so far."""
    SEQUENTIAL = "sequential"
    """The first in configured order, as long as it can be used."""


class RefreshVerdict(enum.Enum):
    """What a failed refresh says about the login."""

    DEAD = "dead"
    """The service says that the refresh token is worth nothing (``invalid_grant``)."""
    DOUBTFUL = "doubtful"
    """A bare 401 or 403: perhaps the same, perhaps a gateway's mood."""
    FAILED = "failed"
    """Nothing: throttled, broken, or not reached."""


class Standing(enum.Enum):
    """Whether a credential can be used, and if not, why."""

    USABLE = "usable"
    PASSED_OVER = "passed_over"
    """It failed too often in a row, and others do not."""
    RATE_LIMITED = "rate_limited"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a word for a state, no secret
    FORBIDDEN = "forbidden"
    SUSPENDED = "suspended"
    QUOTA_EXHAUSTED = "quota_exhausted"
    REFRESH_FAILED = "refresh_failed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All credentials that may be used now, best first."""

    candidates: tuple[str, ...]
    """Ids."""
    own: str | None
    """The credential that the conversation belongs to, if it is a candidate: then it is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """This credential is the one to use."""

    credential_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """None can be used before ``until``, for the ``reason`` that speaks for them all."""

    until: float
    reason: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """None can be used, and waiting does not help.

    ``reason`` is ``REVOKED``, or ``USABLE`` when there are good ones but the caller has excluded them.
    """

    reason: Standing


type Selection = Chosen | Cooling | Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialState:
    """How one credential stands."""

    credential_id: str
    label: str
    standing: Standing
    until: float | None
    """When it can be used again; ``None`` if it can now or never will."""
    uses: int = 0
    """Leases so far, by this process."""
    in_flight: int = 0
    """Leases that have not been given back."""
    quota_left: float | None = None
    """Credits, as the service last said."""
