"""A whole proxy in front of a simulated Kiro, both on real sockets of this machine, inside a test's own nursery."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import trio
from quart_trio import QuartTrio

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.config import Settings
from kiro2api.provision import Supply
from kiro2api.routes.service import Service
from kiro2api.serve import Serving, run
from kiro2api.simulator.server import Simulator
from kiro2api.upstream import Pauses

CLIENT_KEY = "a-key-for-tests-only"
HELLO = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients: nothing here speaks TLS, and loading the certificates takes longer than most tests."""

SHORT_PAUSES = Pauses(base=0.01, cap=0.02, capacity=0.05)
"""Between two calls for one request; the real ones are longer than a test should take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the log."""

    level: str
    event: str
    fields: dict[str, object]


@dataclass(slots=True)
class RecordingLog:
    """Keeps what is logged, and lets a test wait for it."""

    entries: list[Entry] = field(default_factory=list)
    _news: trio.Event = field(default_factory=trio.Event)

    def info(self, event: str, **fields: object) -> None:
        self._add("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._add("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._add("error", event, fields)

    def find(self, event: str) -> list[dict[str, object]]:
        """The fields of all lines of that name so far."""
        return [entry.fields for entry in self.entries if entry.event == event]

    async def wait(self, event: str, count: int = 1) -> list[dict[str, object]]:
        """The same, as soon as there are ``count``."""
        while len(found := self.find(event)) < count:
            await self._news.wait()
        return found

    def _add(self, level: str, event: str, fields: dict[str, object]) -> None:
        self.entries.append(Entry(level=level, event=event, fields=fields))
        self._news.set()
        self._news = trio.Event()


@dataclass(slots=True, kw_only=True)
class Proxy:
    """What a test needs of a running proxy."""

    url: str
    app: QuartTrio
    service: Service
    simulator: Simulator
    log: RecordingLog
    client: httpx.AsyncClient
    """Speaks to the proxy with the right key."""
    stop: trio.Event
    """Set it for what SIGTERM does; the log says ``stopped`` in the end."""

    @property
    def broker(self) -> CredentialBroker:
        return self.service.broker


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what no event tells of; fails after ten seconds."""
    with trio.fail_after(10):
        while True:
            if condition():
                return
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def running_proxy(
    simulator: Simulator | None = None,
    *,
    refresh_tokens: str = "refresh-a",
    supply: Supply | None = None,
    **settings: object,
) -> AsyncIterator[Proxy]:
    """A proxy in front of ``simulator``; ``settings`` are named as in :class:`Settings`.

    Its credentials are those of ``supply``, or ``refresh_tokens``, separated by commas.
    """
    simulator = simulator or Simulator()
    log = RecordingLog()
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        values: dict[str, object] = {
            "port": 0,
            "kiro_client_token": CLIENT_KEY,
            "kiro_upstream_url": simulator.base_url,
            "kiro_refresh_url": simulator.refresh_url,
            "kiro_oidc_url": simulator.oidc_url,
            "kiro_control_url": simulator.control_url,
            "limits_interval": 0,
        }
        chosen = Settings.model_validate(values | settings, by_name=True)
        chosen_supply = supply or Supply.of(parse_refresh_tokens(refresh_tokens))
        serving: Serving = await nursery.start(partial(run, chosen, chosen_supply, log=log, stop=stop.wait))
        serving.program.service.upstream.pauses = SHORT_PAUSES
        headers = {"authorization": f"Bearer {CLIENT_KEY}"}
        async with httpx.AsyncClient(
            base_url=serving.url, headers=headers, timeout=30, verify=NO_CERTIFICATES
        ) as client:
            yield Proxy(
                url=serving.url,
                app=serving.program.app,
                service=serving.program.service,
                simulator=simulator,
                log=log,
                client=client,
                stop=stop,
            )
        nursery.cancel_scope.cancel("test is over")
