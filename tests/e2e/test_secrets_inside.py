"""What the program shows of itself: its objects to its own log, and its probes to strangers."""

import gc
from pathlib import Path
from typing import Any

import httpx
import trio

from kiro2api.auth.credentials import Lease
from kiro2api.provision import open_supply
from tests.support.greetings import ask
from tests.support.leaks import find_leaks
from tests.support.proxy import NO_CERTIFICATES, running_proxy
from tests.support.secret_settings import build_environment, build_simulator, list_secrets
from tests.support.settings import load
from tests.unit.auth.fakes import LogBook


def list_own_objects() -> list[object]:
    """Everything in this process that the program has made, and not the simulated service."""
    own = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("kiro2api.")]
    return [thing for thing in own if not type(thing).__module__.startswith("kiro2api.simulator")]


SHOWN = {
    "AccessToken",
    "Credential",
    "CredentialBroker",
    "CredentialPool",
    "FileStore",
    "Lease",
    "Loaded",
    "Record",
    "Roster",
    "Seal",
    "Service",
    "Settings",
    "SourceSpec",
    "SourceText",
    "Supply",
    "TokenActor",
}
"""Some of the classes that are about secrets."""


async def test_nothing_in_the_program_shows_a_secret_of_itself(tmp_path: Path) -> None:
    """No ``repr`` of any object that is alive has one: whatever a log line or a traceback may name."""
    simulator = build_simulator()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = build_environment(simulator, tmp_path, "json")
        settings = load(environment, require_credentials=True)
        supply = open_supply(settings, environment, log=LogBook())
        values: dict[str, Any] = {name: getattr(settings, name) for name in type(settings).model_fields}
        async with running_proxy(simulator, supply=supply, **values | {"port": 0}) as proxy:
            leases = list[Lease]()
            for _ in range(5):
                leases.append(await proxy.broker.lease(exclude={lease.credential_id for lease in leases}))
            records = [await supply.store.read(lease.credential_id) for lease in leases]
            shown = [(type(thing).__qualname__, f"{thing!r} {thing}") for thing in list_own_objects()]
            assert {name for name, _ in shown} >= SHOWN
            assert sum(record is not None for record in records) == 4  # there is none of an API key
            secrets = list_secrets(simulator)
        nursery.cancel_scope.cancel("the program has ended")
    assert [leak for name, text in shown for leak in find_leaks(name, text, secrets)] == []


async def test_probes_tell_strangers_nothing() -> None:
    """Neither who the credentials are nor how many, whether they are well or not."""
    async with (
        running_proxy(refresh_tokens="refresh-a,refresh-b") as proxy,
        httpx.AsyncClient(base_url=proxy.url, verify=NO_CERTIFICATES) as stranger,
    ):
        assert await ask(proxy, 2) == [200, 200]
        for credential in ("refresh-a", "refresh-b"):
            proxy.simulator.accounts.revoke(credential)
            proxy.simulator.accounts.expire_access_tokens(credential)
            assert (await stranger.get("/readyz")).json() == {"status": "ready"}
            await ask(proxy, 2)
        assert (await stranger.get("/readyz")).json() == {"status": "not ready", "reason": "no usable credential"}
        assert (await stranger.get("/healthz")).json() == {"status": "ok"}
