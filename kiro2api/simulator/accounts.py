"""Refresh tokens and the access tokens that they buy; ``now`` is any clock, as long as it is one."""

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/SIMULATED123"
ACCESS_TOKEN_BYTES = 48
"""Of randomness: access tokens are long and opaque."""
REFRESH_TOKEN_BYTES = 96
"""Of randomness: refresh tokens have more than a hundred characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a refresh brings."""

    access_token: str
    refresh_token: str
    """Differs from the one shown when it was rotated."""
    expires_in: int
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    credential: str
    expires_at: float


class Accounts:
    """The accounts of the simulated service; a credential is named after its first refresh token.

    Args:
        refresh_tokens: The ones that are known; ``None`` accepts every non-empty one.
        rotate: Each refresh brings a new refresh token, and the old one dies.
        expires_in: Seconds for which an access token is good.
    """

    def __init__(
        self,
        refresh_tokens: Iterable[str] | None = None,
        *,
        rotate: bool = False,
        expires_in: int = 3600,
    ) -> None:
        self.rotate = rotate
        self.expires_in = expires_in
        self.refreshes: Counter[str] = Counter()
        """Requests for a refresh by the refresh token that they showed, refused ones included."""
        self._open = refresh_tokens is None
        self._credentials = {shown: shown for shown in refresh_tokens or ()}
        self._dead: set[str] = set()
        self._access: dict[str, _Access] = {}

    def find_credential(self, refresh_token: str) -> str | None:
        """The credential that a live refresh token belongs to."""
        if self._open and refresh_token and refresh_token not in self._dead:
            return self._credentials.setdefault(refresh_token, refresh_token)
        return self._credentials.get(refresh_token)

    def is_dead(self, refresh_token: str) -> bool:
        """Whether the refresh token was good once."""
        return refresh_token in self._dead

    def refresh(self, refresh_token: str, *, now: float) -> Grant | None:
        """A new access token, or ``None`` if the refresh token is unknown or dead."""
        credential = self.find_credential(refresh_token)
        if credential is None:
            return None
        following = refresh_token
        if self.rotate:
            following = "aor" + secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
            self.revoke(refresh_token)
            self._credentials[following] = credential
        return Grant(
            access_token=self.issue(credential, now=now),
            refresh_token=following,
            expires_in=self.expires_in,
        )

    def issue(self, credential: str, *, now: float) -> str:
        """An access token of ``credential``, without a refresh."""
        access_token = "aoa" + secrets.token_urlsafe(ACCESS_TOKEN_BYTES)
        self._access[access_token] = _Access(credential=credential, expires_at=now + self.expires_in)
        return access_token

    def authorize(self, access_token: str, *, now: float) -> str | None:
        """The credential behind a good access token."""
        access = self._access.get(access_token)
        return access.credential if access is not None and now < access.expires_at else None

    def revoke(self, refresh_token: str) -> None:
        """The refresh token is dead from now on; access tokens that it bought stay good."""
        self._credentials.pop(refresh_token, None)
        self._dead.add(refresh_token)

    def expire_access_tokens(self) -> None:
        """No access token issued so far is good any more."""
        self._access.clear()
