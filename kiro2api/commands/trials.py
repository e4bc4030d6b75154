"""Tries credentials, each by one refresh under the hold of the store: safe beside a running proxy."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx
import trio

from kiro2api.app import build_client
from kiro2api.auth.credentials import ApiKey, Credential
from kiro2api.auth.errors import RefreshError, RefreshRefusedError, RefreshRejectedError
from kiro2api.auth.files import SharedFiles
from kiro2api.auth.inspection import inspect_credentials
from kiro2api.auth.moments import describe_clock, describe_span
from kiro2api.auth.pool import Standing
from kiro2api.auth.refresh import RefreshEndpoints
from kiro2api.auth.renewal import RenewalTools, Renewer
from kiro2api.auth.reports import explain_login, explain_standing
from kiro2api.auth.wire import Wire
from kiro2api.commands.stores import start_store
from kiro2api.config import Settings
from kiro2api.provision import Supply
from kiro2api.supervision import Log

_NOT_REFRESHED = "An API key is never refreshed; whether it is accepted shows with a request."


class Verdict(enum.Enum):
    """What came of a trial."""

    WELL = "well"
    FAILED = "failed"
    NOT_TESTED = "not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One credential, tried."""

    label: str
    kind: str
    source: str
    verdict: Verdict
    why: str
    """Whole sentences: what is so, and what to do."""
    expires_at: float | None = None
    """Of the access token that the refresh brought; epoch seconds."""


def risks_loss(credential: Credential) -> bool:
    """Whether a refresh may bring a new refresh token that nothing but the store of states would keep."""
    return not isinstance(credential.login, ApiKey) and credential.shared_file is None


async def try_credentials(
    settings: Settings, supply: Supply, *, log: Log, wall: Callable[[], float]
) -> tuple[tuple[Trial, ...], str]:
    """A trial of each credential, in their order, and the trouble that the store had meanwhile.

    Args:
        settings: Say how to reach the services.
        supply: Stays the caller's to close.
        log: Hears of what the trials do not tell.
        wall: Epoch seconds.
    """
    trials: dict[str, Trial] = {}
    trouble = ""
    async with build_client(settings) as client, trio.open_nursery() as nursery:
        await start_store(supply, nursery)
        tools = _build_tools(settings, supply, client, log=log, wall=wall)

        async def try_one(credential: Credential) -> None:
            trials[credential.credential_id] = await _try(credential, tools)

        async with trio.open_nursery() as all_of_them:
            for credential in supply.loaded.credentials:
                all_of_them.start_soon(try_one, credential)
        trouble = supply.store.trouble  # later there is more of it: the connection ends with its task
        nursery.cancel_scope.cancel("everything has been tried")
    return tuple(trials[credential.credential_id] for credential in supply.loaded.credentials), trouble


def _build_tools(
    settings: Settings, supply: Supply, client: httpx.AsyncClient, *, log: Log, wall: Callable[[], float]
) -> RenewalTools:
    endpoints = RefreshEndpoints(social=settings.kiro_refresh_url, oidc=settings.kiro_oidc_url)
    files = SharedFiles()

    async def reread(credential: Credential) -> Credential:
        # Not with the access token that stands there: it would be taken over, and nothing tried.
        return replace(await files.reread(credential), access=None)

    return RenewalTools(
        trade=Wire(client, endpoints=endpoints, refresh_seconds=settings.kiro_refresh_timeout).trade,
        reread=reread,
        write_back=files.write_back,
        store=supply.store,
        wall=wall,
        log=log,
        has_replicas=settings.replicas > 1,
    )


async def _try(credential: Credential, tools: RenewalTools) -> Trial:
    if isinstance(credential.login, ApiKey):
        return _build_trial(credential, Verdict.NOT_TESTED, _NOT_REFRESHED)
    renewer = Renewer(credential, tools)
    known = await renewer.load()
    try:
        record = await renewer.renew(
            beyond=0 if known is None else known.generation, current=None if known is None else known.access_token
        )
    except RefreshError as error:
        return _build_trial(credential, Verdict.FAILED, _explain(credential, error))
    now = tools.wall()
    span, clock = describe_span(max(0.0, record.expires_at - now)), describe_clock(record.expires_at, now)
    why = f"Its access token is good for {span}, until {clock}."
    (report,) = await inspect_credentials((credential,), tools.store, now=now, api_region=None)
    if report.standing is not Standing.USABLE:
        why += f" All the same it is not used now. {explain_standing(report, now)}"
    return replace(_build_trial(credential, Verdict.WELL, why), expires_at=record.expires_at)


def _explain(credential: Credential, error: RefreshError) -> str:
    """Why the refresh failed, and what to do."""
    reason, remedy = error.detail or "unknown", explain_login(credential)
    match error:
        case RefreshRejectedError():
            return f"The login is over ({reason}). {remedy}."
        case RefreshRefusedError():
            return f"The service refuses the refresh token ({reason}): most often the login is over. {remedy}."
        case _:
            return f"The refresh failed ({reason}), which says nothing about the login. Try again in a minute."


def _build_trial(credential: Credential, verdict: Verdict, why: str) -> Trial:
    return Trial(label=credential.label, kind=credential.kind, source=credential.source, verdict=verdict, why=why)
