"""How a credential is, for the people who run the proxy: the facts, and the sentences about them.

Nothing here is secret, and no profile is named. Times are epoch seconds.
"""

import math
from dataclasses import dataclass
from typing import assert_never

from kiro2api.auth.actor import TokenActor
from kiro2api.auth.credentials import ApiKey, Credential, SharedFileKind
from kiro2api.auth.moments import describe_moment
from kiro2api.auth.pool import CredentialState, Standing
from kiro2api.auth.survey import Findings

API_KEY_KIND = "api-key"
"""Of the credentials that are never refreshed."""
READY = "Ready."
READY_TO_REFRESH = "Ready; its next request waits for a refresh."


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """All that an operator may know of one credential."""

    label: str
    kind: str
    source: str
    remedy: str
    """What has to be done when the login is over: the beginning of a sentence, without its full stop."""
    standing: Standing
    until: float | None
    """When it can be used again; ``None`` if it can now, or never will by itself."""
    trouble: str
    """Why the last refresh failed; empty if it did not."""
    expires_at: float | None
    """Of the access token; ``None`` if there is none, or it has no end."""
    refreshed_at: float | None
    uses: int
    """Leases, by all processes that share the store."""
    in_flight: int
    """Leases of this process that have not been returned."""
    quota_left: float | None
    """Credits, as the service last said; advisory."""
    quota_resets_at: float | None
    plan: str | None
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """A credential as it is shown, by this name or that of its JSON member; see :class:`CredentialReport`."""

    label: str
    kind: str
    source: str
    state: str
    """The value of a :class:`Standing`."""
    why: str
    """Whole sentences: what that means, and what to do."""
    until: float | None
    expires_at: float | None
    refreshed_at: float | None
    used: int
    in_flight: int
    quota_left: float | None
    quota_resets_at: float | None
    plan: str | None
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreView:
    """The store of states as it is shown."""

    trouble: str
    """Why it does not reach as far as it should; empty if it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsView:
    """The body of ``GET /admin/credentials``."""

    credentials: tuple[CredentialView, ...]
    state_store: StoreView


def build_report(  # noqa: PLR0913 - it puts together what several parts know
    state: CredentialState, actor: TokenActor, found: Findings, *, uses: int, region: str, shift: float
) -> CredentialReport:
    """The report of one credential.

    Args:
        state: As the pool sees it.
        actor: Its access token.
        found: What the control plane has said of it.
        uses: Leases by all processes.
        region: Of its API.
        shift: What the wall clock is ahead of the pool's.
    """
    expires_at = actor.access_token.expires_at if actor.access_token is not None else math.inf
    return CredentialReport(
        label=state.label,
        kind=actor.credential.kind,
        source=actor.credential.source,
        remedy=explain_login(actor.credential),
        standing=state.standing,
        until=None if state.until is None else state.until + shift,
        trouble=actor.trouble,
        expires_at=expires_at + shift if expires_at < math.inf else None,
        refreshed_at=actor.refreshed_at,
        uses=max(state.uses, uses),
        in_flight=state.in_flight,
        quota_left=state.quota_left,
        quota_resets_at=found.limits.resets_at if found.limits else None,
        plan=found.limits.plan if found.limits else None,
        region=region,
    )


def build_view(report: CredentialReport, now: float) -> CredentialView:
    """The report as it is shown at ``now``."""
    return CredentialView(
        label=report.label,
        kind=report.kind,
        source=report.source,
        state=report.standing.value,
        why=explain_standing(report, now),
        until=report.until,
        expires_at=report.expires_at,
        refreshed_at=report.refreshed_at,
        used=report.uses,
        in_flight=report.in_flight,
        quota_left=report.quota_left,
        quota_resets_at=report.quota_resets_at,
        plan=report.plan,
        region=report.region,
    )


def explain_login(credential: Credential) -> str:
    """How a new login takes the place of this one, which is over."""
    if isinstance(credential.login, ApiKey):
        return f"Make a new API key and put it into {credential.source}"
    if credential.shared_file is None:
        return f"Log in again, and put the new refresh token into {credential.source}"
    match credential.shared_file.kind:
        case SharedFileKind.IDE_TOKEN:
            return "Log in again with the Kiro IDE; the new login is taken up by itself"
        case SharedFileKind.CLI_STORE:
            return "Log in again with kiro-cli; the new login is taken up by itself"
        case _:
            assert_never(credential.shared_file.kind)


def explain_standing(report: CredentialReport, now: float) -> str:
    """What the standing means and what to do, in whole sentences for people."""
    until = "later" if report.until is None else describe_moment(report.until, now)
    match report.standing:
        case Standing.USABLE:
            return _explain_usable(report, now)
        case Standing.PASSED_OVER:
            return f"It failed several times in a row, so that others come first; it has its turn again {until}."
        case Standing.RATE_LIMITED:
            return f"The upstream throttles this account. It is left alone, and used again {until}."
        case Standing.QUOTA_EXHAUSTED:
            return f"The account's quota is used up. It is used again {until}, when the quota is renewed."
        case Standing.SUSPENDED:
            return (
                "AWS has locked the account: look at your Kiro account, and write to AWS's support. "
                f"It is tried every six hours, again {until}."
            )
        case Standing.FORBIDDEN:
            return (
                "The upstream does not let this account do what was asked: see whether its plan or its organisation "
                f"allows Kiro, and whether its profileArn is right. It is tried again {until}."
            )
        case Standing.TOKEN_REFUSED:
            return (
                "The upstream refuses access tokens that were just refreshed. "
                f"It is tried again {until}; if it stays so: {_lower_first(report.remedy)}."
            )
        case Standing.REFRESH_FAILED:
            return (
                f"It has no access token: the last refresh failed ({report.trouble or 'unknown'}). "
                f"It is tried again {until}."
            )
        case Standing.REVOKED:
            return f"Its login is refused for good ({report.trouble or 'unknown'}). {report.remedy}."
        case _:
            assert_never(report.standing)


def _explain_usable(report: CredentialReport, now: float) -> str:
    if report.kind == API_KEY_KIND:
        return READY
    is_live = report.expires_at is not None and report.expires_at > now
    if report.trouble and is_live:
        return (
            f"Ready as long as its access token lasts. The last refresh failed ({report.trouble}), "
            "and is tried again by itself."
        )
    return READY if is_live else READY_TO_REFRESH


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
