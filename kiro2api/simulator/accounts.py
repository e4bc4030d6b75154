"""Refresh tokens and the access tokens that they buy; ``now`` is any clock, as long as it is one."""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kiro2api.simulator.account import PROFILE_ARN, Account, AccountKind

__all__ = ["PROFILE_ARN", "Accounts", "Grant"]

ACCESS_TOKEN_BYTES = 48
"""Of randomness: access tokens are long and opaque."""
REFRESH_TOKEN_BYTES = 96
"""Of randomness: refresh tokens have more than a hundred characters."""


@dataclass(slots=True, kw_only=True, eq=False)
class Grant:
    """What a refresh brought."""

    time: float
    credential: str
    """The name of the account."""
    shown: str
    """The refresh token that was traded."""
    access_token: str
    refresh_token: str
    """Differs from the one shown when it was rotated."""
    expires_in: int
    """Seconds."""
    written: bool = False
    """The whole answer has been handed to the operating system; the peer need not have read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    credential: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    credential: str
    traded_at: float


class Accounts:
    """The accounts of the simulated service; a credential is named after its first refresh token, or its API key.

    Args:
        refresh_tokens: Those of social accounts that are known; ``None`` accepts every non-empty one.
        rotate: Each refresh brings a new refresh token, and the old one dies.
        detect_reuse: Whoever shows a refresh token that was traded before ends all tokens of the account.
        reuse_grace: Seconds for which a refresh token that was traded may be shown again without harm: it brings the
            refresh token that took its place, and another access token.
        expires_in: Seconds for which an access token is good.

    Attributes:
        refreshes: Requests for a refresh by the refresh token that they showed, refused ones included.
        reuses: How often traded refresh tokens were shown beyond their grace, by account; counted only with
            ``detect_reuse``.
        grants: What refreshes have brought so far, in order.
    """

    def __init__(
        self,
        refresh_tokens: Iterable[str] | None = None,
        *,
        rotate: bool = False,
        detect_reuse: bool = False,
        reuse_grace: float = 0.0,
        expires_in: int = 3600,
    ) -> None:
        self.rotate = rotate
        self.detect_reuse = detect_reuse
        self.reuse_grace = reuse_grace
        self.expires_in = expires_in
        self.refreshes: Counter[str] = Counter()
        self.reuses: Counter[str] = Counter()
        self.grants: list[Grant] = []
        self._open = refresh_tokens is None
        self._accounts: dict[str, Account] = {}
        self._live: dict[str, str] = {}
        self._traded: dict[str, _Trade] = {}
        self._dead: set[str] = set()
        self._access: dict[str, _Access] = {}
        for refresh_token in dict.fromkeys(refresh_tokens or ()):
            self.add(Account(refresh_token=refresh_token))

    def add(self, account: Account) -> Account:
        """``account``, known from now on; social ones that are not listed stay welcome if they were.

        Raises:
            ValueError: There is one of that name.
        """
        if account.name in self._accounts:
            raise ValueError("there is an account of that name")
        self._accounts[account.name] = account
        if account.kind is not AccountKind.API_KEY:
            self._live[account.refresh_token] = account.name
        return account

    def __getitem__(self, credential: str) -> Account:
        """The account of that name; a social one, if it was not known."""
        if credential not in self._accounts:
            self._accounts[credential] = Account(refresh_token=credential)
        return self._accounts[credential]

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find_credential(self, refresh_token: str) -> str | None:
        """The credential that a live refresh token belongs to."""
        if self._open and refresh_token and not self.is_dead(refresh_token):
            return self._live.setdefault(refresh_token, refresh_token)
        return self._live.get(refresh_token)

    def find_owner(self, refresh_token: str) -> Account | None:
        """The account that a refresh token belongs to which is live or was traded; strangers are not let in."""
        trade = self._traded.get(refresh_token)
        credential = self._live.get(refresh_token) if trade is None else trade.credential
        return None if credential is None else self[credential]

    def list_live(self, credential: str) -> list[str]:
        """The refresh tokens of an account that are good; at most one if they rotate."""
        return [refresh_token for refresh_token, owner in self._live.items() if owner == credential]

    def is_dead(self, refresh_token: str) -> bool:
        """Whether the refresh token was good once."""
        return refresh_token in self._dead or refresh_token in self._traded

    def refresh(self, refresh_token: str, *, now: float) -> Grant | None:
        """A new access token, or ``None`` if the refresh token is unknown or dead."""
        trade = self._traded.get(refresh_token)
        if trade is not None:
            return self._refresh_again(refresh_token, trade, now=now)
        credential = self.find_credential(refresh_token)
        if credential is None:
            return None
        following = refresh_token
        if self.rotate:
            following = "aor" + secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
            del self._live[refresh_token]
            self._traded[refresh_token] = _Trade(credential=credential, traded_at=now)
            self._live[following] = credential
        return self._grant(credential, refresh_token, following, now=now)

    def _refresh_again(self, refresh_token: str, trade: _Trade, *, now: float) -> Grant | None:
        live = self.list_live(trade.credential)
        if live and now < trade.traded_at + self.reuse_grace:
            return self._grant(trade.credential, refresh_token, live[0], now=now)
        if self.detect_reuse:
            self.reuses[trade.credential] += 1
            self.revoke_family(trade.credential)
        return None

    def _grant(self, credential: str, shown: str, following: str, *, now: float) -> Grant:
        grant = Grant(
            time=now,
            credential=credential,
            shown=shown,
            access_token=self.issue(credential, now=now),
            refresh_token=following,
            expires_in=self.expires_in,
        )
        self.grants.append(grant)
        return grant

    def issue(self, credential: str, *, now: float) -> str:
        """An access token of ``credential``, without a refresh."""
        access_token = "aoa" + secrets.token_urlsafe(ACCESS_TOKEN_BYTES)
        self._access[access_token] = _Access(credential=credential, expires_at=now + self.expires_in)
        return access_token

    def authorize(self, access_token: str, *, now: float) -> str | None:
        """The credential behind a good access token, or a good API key."""
        account = self._accounts.get(access_token)
        if account is not None and account.kind is AccountKind.API_KEY and access_token not in self._dead:
            return account.name
        access = self._access.get(access_token)
        return access.credential if access is not None and now < access.expires_at else None

    def revoke(self, secret: str) -> None:
        """The refresh token or API key is dead from now on; access tokens that it bought stay good."""
        self._live.pop(secret, None)
        self._dead.add(secret)

    def revoke_family(self, credential: str) -> None:
        """All refresh tokens and access tokens of an account are dead from now on."""
        for refresh_token in self.list_live(credential):
            self.revoke(refresh_token)
        self.expire_access_tokens(credential)

    def expire_access_tokens(self, credential: str | None = None) -> None:
        """No access token issued so far, to ``credential`` or to anybody, is good any more; API keys stay good."""
        self._access = {
            access_token: access
            for access_token, access in self._access.items()
            if credential is not None and access.credential != credential
        }
