"""A process that shares its credentials with others by a store: what runs in the children of those tests.

It leases each of its credentials, tells of the access token that it gets, and has it renewed with each SIGUSR1, which
stands for the upstream's refusal. It goes on until it is killed.
"""

import signal
from pathlib import Path

import httpx
import trio

from kiro2api.auth.actor import News
from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.credentials import Lease, Outcome, build_fingerprint
from kiro2api.auth.errors import NoCredentialError, RefreshError
from kiro2api.auth.refresh import RefreshEndpoints
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.state.files import open_file_store
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.redis import RedisStore
from kiro2api.auth.state.replicated import ReplicatedStore
from kiro2api.auth.state.sealing import Seal
from kiro2api.auth.state.store import StateStore
from kiro2api.auth.wire import Wire
from tests.support.forking import tell
from tests.support.proxy import NO_CERTIFICATES

STATE_KEY = "a-key-for-tests-that-seals"
RETRY_SECONDS = 0.05
"""After a lease or a renewal that came to nothing."""


def _drop_log(level: int, event: str, /, **fields: object) -> None:
    """Nobody reads what a child logs."""


async def share(name: str, base_url: str, state: str, refresh_tokens: str, hold_seconds: float) -> None:
    """Runs until it is killed.

    Args:
        name: Sent as ``User-Agent``, so that the upstream's side can tell the children apart.
        base_url: Of the simulated upstream.
        state: A directory, or the URL of a Redis server.
        refresh_tokens: Separated by commas.
        hold_seconds: How long a dead holder's hold lasts on a Redis server.
    """
    headers = {"user-agent": name}
    async with (
        httpx.AsyncClient(headers=headers, verify=NO_CERTIFICATES, trust_env=False) as client,
        trio.open_nursery() as nursery,
    ):
        store = await _open_store(state, hold_seconds, nursery)
        endpoints = RefreshEndpoints(social=f"{base_url}/refreshToken", oidc=f"{base_url}/token")
        credentials = parse_refresh_tokens(refresh_tokens)
        broker = CredentialBroker(
            credentials,
            wire=Wire(client, endpoints=endpoints, refresh_seconds=10),
            log=_drop_log,
            store=store,
            clocks=Clocks(),
            has_replicas=True,
        )
        await nursery.start(broker.run)
        refused = News()
        every = {credential.credential_id for credential in credentials}
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            for credential in credentials:
                nursery.start_soon(_keep_one, broker, refused, every - {credential.credential_id})
            async for _ in signals:
                refused.announce()


async def _open_store(state: str, hold_seconds: float, nursery: trio.Nursery) -> StateStore:
    if not state.startswith("redis://"):
        return open_file_store(Path(state), STATE_KEY)
    shared = RedisStore(state, Seal(STATE_KEY), hold_seconds=hold_seconds)
    store = ReplicatedStore(MemoryStore(), shared, replicas=4, log=_drop_log)
    await nursery.start(store.run)
    return store


async def _keep_one(broker: CredentialBroker, refused: News, others: set[str]) -> None:
    lease: Lease | None = None
    while True:
        try:
            lease = await broker.lease(exclude=others) if lease is None else await broker.renew(lease)
        except (NoCredentialError, RefreshError) as error:
            told = error.__cause__ if isinstance(error.__cause__, RefreshError) else error
            tell({"failed": told.detail})
            if lease is not None:
                broker.release(lease, Outcome.NEUTRAL)
                lease = None
            await trio.sleep(RETRY_SECONDS)
            continue
        access_token = lease.access_token
        tell({"credential": lease.credential_id, "access": build_fingerprint(access_token.value)})
        await refused.wait()
