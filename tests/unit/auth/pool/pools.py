"""Pools for tests, and short words for asking them."""

from datetime import UTC, datetime

from kiro2api.auth.credentials import Credential, Outcome, Want, build_fingerprint
from kiro2api.auth.pool import ChoiceRule, CredentialPool, CredentialState, RefreshVerdict, Standing
from kiro2api.auth.sources import parse_refresh_tokens

A, B, C = (build_fingerprint(refresh_token) for refresh_token in "abc")
NOW = datetime(2025, 12, 30, 12, tzinfo=UTC).timestamp()
NEXT_MONTH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
OPUS = Want(model="claude-opus-4.5")
TALK = Want(session="talk")


def parse_credentials(refresh_tokens: str) -> tuple[Credential, ...]:
    """Social credentials; none for an empty text."""
    return parse_refresh_tokens(refresh_tokens) if refresh_tokens else ()


def build_pool(
    refresh_tokens: str = "a", draw: float = 0.5, rule: ChoiceRule = ChoiceRule.ROUND_ROBIN
) -> CredentialPool:
    """A pool of these credentials whose jitter is always ``draw``."""
    return CredentialPool(parse_credentials(refresh_tokens), jitter=lambda: draw, rule=rule)


def find_wait(pool: CredentialPool, now: float) -> float | None:
    """Seconds until the pool's only credential comes back."""
    (state,) = pool.statistics(now)
    return state.until - now if state.until is not None else None


def find_standings(pool: CredentialPool, now: float) -> dict[str, Standing]:
    """How the credentials stand, by id."""
    return {state.credential_id: state.standing for state in pool.statistics(now)}


def rank(pool: CredentialPool, now: float = NOW, want: Want | None = None) -> tuple[str, ...]:
    """The candidates, best first."""
    return pool.rank(now, want=want or Want()).candidates


def build_state(
    until: float | None = None, standing: Standing = Standing.USABLE, in_flight: int = 0
) -> CredentialState:
    """The state of credential A, which is leased once for each lease in flight."""
    return CredentialState(
        credential_id=A, label="social-1", standing=standing, until=until, uses=in_flight, in_flight=in_flight
    )


def lease_next(pool: CredentialPool, now: float = NOW, want: Want | None = None) -> str:
    """Leases the first candidate, gives it back, and tells which it was."""
    credential_id = rank(pool, now, want)[0]
    pool.lease(credential_id, now, want=want or Want())
    pool.give_back(credential_id)
    return credential_id


def revoke(pool: CredentialPool, credential_id: str) -> None:
    """For good."""
    pool.record_refresh_failure(credential_id, NOW, verdict=RefreshVerdict.DEAD)


def eject(pool: CredentialPool, credential_id: str) -> None:
    """By failures."""
    for _ in range(3):
        pool.record(credential_id, Outcome.UPSTREAM_FAILED, NOW)
