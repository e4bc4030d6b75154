"""One account of the simulated service: how it logs in, and what it may do.

Tests build accounts and change their fields while the service runs. Times are on the clock of whoever asks, which is
Trio's in the running service; only :attr:`Quota.resets_at` is wall time.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass

PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/SIMULATED123"
BUILDER_ID_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
"""The placeholder that the Kiro IDE sends for accounts that have no profile of their own."""
DEFAULT_REGION = "us-east-1"
UNMETERED_LIMIT = 1000.0
"""Credits that an account without a quota reports as its limit, with none used."""


class AccountKind(enum.Enum):
    """How an account logs in."""

    SOCIAL = "social"
    """Google or GitHub."""
    IDC = "idc"
    """IAM Identity Center."""
    BUILDER_ID = "builder-id"
    """Refreshed as :attr:`IDC`."""
    EXTERNAL_IDP = "external-idp"
    API_KEY = "api-key"


OIDC_KINDS = frozenset({AccountKind.IDC, AccountKind.BUILDER_ID})

_PROFILES = {
    AccountKind.SOCIAL: PROFILE_ARN,
    AccountKind.IDC: PROFILE_ARN,
    AccountKind.BUILDER_ID: BUILDER_ID_PROFILE_ARN,
    AccountKind.EXTERNAL_IDP: PROFILE_ARN,
    AccountKind.API_KEY: "",
}
_NEEDS_PROFILE = frozenset({AccountKind.IDC, AccountKind.BUILDER_ID, AccountKind.EXTERNAL_IDP})


class RetryHint(enum.Enum):
    """How a refusal says when to come back."""

    NONE = "none"
    HEADER = "header"
    """``Retry-After``, in whole seconds."""
    BODY = "body"
    """``retryAfterMilliseconds``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Calls are refused with 429 until an instant."""

    until: float
    hint: RetryHint = RetryHint.NONE
    reason: str = "USER_REQUEST_RATE_EXCEEDED"


@dataclass(slots=True, kw_only=True)
class Quota:
    """The credits of an account; each generate call that is not refused takes ``price``, whatever its answer."""

    limit: float
    used: float = 0.0
    price: float = 1.0
    is_daily: bool = False
    """Refused as the limit of a day instead of a month's."""
    resets_at: float | None = None
    """Epoch seconds that the usage limits report, and nothing else; ``None`` is the first of next month."""

    @property
    def left(self) -> float:
        return max(0.0, self.limit - self.used)


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """Somebody who may call; requests go by its ``name``.

    Raises:
        ValueError: The kind needs a secret that is not given.
    """

    refresh_token: str = ""
    """The first one, before any rotation."""
    kind: AccountKind = AccountKind.SOCIAL
    api_key: str = ""
    """Only of :attr:`AccountKind.API_KEY`, instead of a refresh token."""
    client_id: str = ""
    client_secret: str = ""
    """Empty for an external identity provider, whose clients are public."""
    client_expired: bool = False
    """The registration of the client has run out."""
    region: str = DEFAULT_REGION
    """Of the OIDC service that issued the registration."""
    profile_arn: str | None = None
    """``None`` is what the kind usually has; empty is none."""
    profile_required: bool | None = None
    """Whether generate calls have to show the profile; ``None`` is what the kind usually does."""
    api_region: str | None = None
    """Where the access tokens are good; ``None`` is the profile's region, or everywhere without a profile."""
    plan: str = "KIRO FREE"
    quota: Quota | None = None
    """``None``: calls cost nothing."""
    models: Collection[str] | None = None
    """Ids that it may use; ``None`` are all that the service knows."""
    suspended: bool = False
    forbidden: bool = False
    """Generate calls are not for this account."""
    throttle: Throttle | None = None

    def __post_init__(self) -> None:
        needed = {
            "api_key": self.kind is AccountKind.API_KEY,
            "refresh_token": self.kind is not AccountKind.API_KEY,
            "client_id": self.kind in OIDC_KINDS or self.kind is AccountKind.EXTERNAL_IDP,
            "client_secret": self.kind in OIDC_KINDS,
        }
        for name, is_needed in needed.items():
            if is_needed and not getattr(self, name):
                raise ValueError(f"an account of kind {self.kind.value} needs {name}")

    @property
    def name(self) -> str:
        """The refresh token or API key that it was made with."""
        return self.refresh_token or self.api_key

    @property
    def profile(self) -> str:
        """The ARN of its profile; empty if it has none."""
        return _PROFILES[self.kind] if self.profile_arn is None else self.profile_arn

    @property
    def needs_profile(self) -> bool:
        """Whether generate calls have to show :attr:`profile`."""
        return self.kind in _NEEDS_PROFILE if self.profile_required is None else self.profile_required

    @property
    def profile_region(self) -> str | None:
        """The region in the ARN of the profile."""
        return self.profile.split(":")[3] if self.profile else None

    def is_served_in(self, region: str | None) -> bool:
        """Whether its access tokens are good in ``region``; ``None`` is a host that says nothing of regions."""
        home = self.api_region or self.profile_region
        return region is None or home is None or region == home
