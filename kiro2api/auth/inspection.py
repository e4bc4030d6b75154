"""How the configured credentials are, by what the store has of them: nothing is refreshed, and nobody is asked.

Whether a login is still accepted does not stand there; a running proxy knows, or a refresh shows.
"""

from collections.abc import Iterable

from kiro2api.auth.credentials import ApiKey, Credential, IdcLogin
from kiro2api.auth.holdings import Holding, settle
from kiro2api.auth.hosts import select_api_region
from kiro2api.auth.pool import CredentialPool, CredentialState
from kiro2api.auth.reports import CredentialReport, explain_login
from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.store import StateError, StateStore


async def inspect_credentials(
    credentials: Iterable[Credential], store: StateStore, *, now: float, api_region: str | None
) -> tuple[CredentialReport, ...]:
    """A report of each credential, in their order.

    Args:
        credentials: As they are configured, with distinct ids.
        store: What cannot be read of it counts as absent; its own ``trouble`` says why.
        now: Epoch seconds by the wall clock.
        api_region: The operator's own, for all credentials that have none.
    """
    known = tuple(credentials)
    # The cooldowns of others are read as every process reads them.
    pool = CredentialPool(known, jitter=lambda: 0.5)
    found: list[tuple[Record | None, Notes]] = []
    for credential in known:
        record, notes = await _look_up(store, credential.credential_id)
        pool.import_cooldowns(credential.credential_id, notes.cooldowns, now)
        found.append((record, notes))
    return tuple(
        _build_report(state, credential, record, notes, api_region)
        for state, credential, (record, notes) in zip(pool.statistics(now), known, found, strict=True)
    )


async def _look_up(store: StateStore, credential_id: str) -> tuple[Record | None, Notes]:
    try:
        return await store.read(credential_id), await store.exchange_notes(credential_id, Notes())
    except StateError:
        return None, Notes()


def _build_report(
    state: CredentialState, credential: Credential, record: Record | None, notes: Notes, api_region: str | None
) -> CredentialReport:
    login = credential.login
    held = None if isinstance(login, ApiKey) else settle(credential, record)
    return CredentialReport(
        label=credential.label,
        kind=credential.kind,
        source=credential.source,
        remedy=explain_login(credential),
        standing=state.standing,
        until=state.until,
        trouble="",
        expires_at=_find_expiry(held),
        refreshed_at=None if held is None else held.refreshed_at,
        uses=notes.uses,
        in_flight=0,
        quota_left=notes.quota_left,
        quota_resets_at=notes.quota_resets_at,
        plan=None,
        region=select_api_region(
            configured=credential.api_region or api_region,
            profile_arn=credential.profile_arn if held is None else held.profile_arn,
            sso_region=login.region if isinstance(login, IdcLogin) else None,
        ),
    )


def _find_expiry(held: Holding | None) -> float | None:
    return None if held is None or held.access is None else held.access.expires_at
