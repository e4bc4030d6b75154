"""Credentials, the access tokens they buy, and the leases under which those are used.

Values only. Secrets are left out of every ``repr``.
"""

import enum
import hashlib
from dataclasses import dataclass, field

CREDENTIAL_ID_LENGTH = 16
"""Hexadecimal digits of a credential's id: 64 bits tell any number of credentials apart and give nothing away."""


class AuthMethod(enum.Enum):
    """How a refresh token is traded for an access token."""

    SOCIAL = "social"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A lasting secret and what belongs to it."""

    credential_id: str
    """From the *original* refresh token, see :func:`build_credential_id`: it outlives rotations."""
    label: str
    """What logs call it, like ``social-1``."""
    method: AuthMethod
    refresh_token: str = field(repr=False)
    profile_arn: str | None = None
    """As configured; it has precedence over the one that a refresh brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A short-lived bearer."""

    value: str = field(repr=False)
    expires_at: float
    """On the clock that is given to whoever made it, in seconds."""
    generation: int
    """1 for the first of a credential, one more with each refresh."""
    profile_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lease:
    """The right to use one access token for one exchange; compared by identity, since each is returned once."""

    credential_id: str
    label: str
    access_token: AccessToken
    leased_at: float


class Outcome(enum.Enum):
    """What an exchange taught about the credential it was made with."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    """Nothing: the client's fault, the network's, the model's, or cancelled."""
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a word for an outcome, no secret
    """The upstream refused an access token that was fresh."""
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SUSPENDED = "suspended"
    FORBIDDEN = "forbidden"
    UPSTREAM_FAILED = "upstream_failed"
    """A 5xx or an answer that broke: says little once, and much when it repeats on one credential."""


def build_credential_id(refresh_token: str) -> str:
    """A short name for the credential that began with ``refresh_token``, from which nobody can tell the secret."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()[:CREDENTIAL_ID_LENGTH]
