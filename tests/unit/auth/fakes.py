"""A refresh service and a broker on it, for tests under virtual time."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx
import trio
from trio.testing import MockClock

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.credentials import Credential
from kiro2api.auth.refresh import RefreshEndpoints
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.state.store import StateStore
from kiro2api.auth.wire import Wire

REFRESH_URL = "https://auth.test/refreshToken"
OIDC_URL = "https://oidc.{region}.test/token"
EPOCH = 1_760_000_000.0
"""2025-10-09, where virtual time begins."""

type Answer = httpx.Response | Exception


@dataclass
class FakeRefreshService:
    """Grants ``access-<refresh token>-<n>`` after a second, unless ``answers`` says otherwise."""

    answers: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    """By refresh token: what to answer, or raise, instead."""
    delays: dict[str, float] = field(default_factory=dict)
    default_delay: float = 1.0
    lifetime: float = 3600.0
    calls: list[tuple[float, str]] = field(default_factory=list)
    """When each call came, and with which refresh token."""
    clock_offset: float = 0.0
    """What the broker's clock is ahead of virtual time, as after a sleep of the machine."""
    broker_scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Cancel it to shut the broker down while the test goes on."""
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        refresh_token = json.loads(request.content)["refreshToken"]
        self.requests.append(request)
        self.calls.append((trio.current_time(), refresh_token))
        number = sum(1 for _, called in self.calls if called == refresh_token)
        await trio.sleep(self.delays.get(refresh_token, self.default_delay))
        if refresh_token in self.answers:
            answer = self.answers[refresh_token]()
            if isinstance(answer, Exception):
                raise answer
            return answer
        return grant(f"access-{refresh_token}-{number}", lifetime=self.lifetime)

    def count_calls(self, refresh_token: str) -> int:
        return [called for _, called in self.calls].count(refresh_token)


def grant(access_token: str, *, lifetime: object = 3600, **fields: object) -> httpx.Response:
    """A good answer of the service."""
    return httpx.Response(200, json={"accessToken": access_token, "expiresIn": lifetime, **fields})


def refuse(status: int = 503, text: str = "{}", **headers: str) -> Callable[[], httpx.Response]:
    """Makes bad answers of the service."""
    return lambda: httpx.Response(status, text=text, headers=headers)


class EndlessBody(httpx.AsyncByteStream):
    """A body that never ends, and counts what was read of it."""

    def __init__(self) -> None:
        self.size = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        self.size += 4096
        return b" " * 4096


@dataclass
class LogBook:
    """What a broker has logged: event names, and all of it as text to search for secrets."""

    events: list[str] = field(default_factory=list)
    text: str = ""
    waits: list[object] = field(default_factory=list)
    """The ``retry_in`` of each failed task."""

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        self.events.append(event)
        if event == "background_task_failed":
            self.waits.append(fields["retry_in"])
        self.text += f"{level} {event} {fields}\n"


def build_wire(client: httpx.AsyncClient, *, refresh_seconds: float = 10.0) -> Wire:
    """The way to the services of these tests."""
    endpoints = RefreshEndpoints(social=REFRESH_URL, oidc=OIDC_URL)
    return Wire(client, endpoints=endpoints, refresh_seconds=refresh_seconds)


@asynccontextmanager
async def open_broker(
    clock: MockClock,
    service: FakeRefreshService,
    credentials: str | Iterable[Credential] = "a",
    log: LogBook | None = None,
    *,
    store: StateStore | None = None,
    has_replicas: bool = False,
) -> AsyncIterator[CredentialBroker]:
    """A running broker whose refreshes have not begun yet; texts are refresh tokens, separated by commas."""
    transport = httpx.MockTransport(service)
    async with httpx.AsyncClient(transport=transport) as client, trio.open_nursery() as nursery:
        broker = CredentialBroker(
            parse_refresh_tokens(credentials) if isinstance(credentials, str) else credentials,
            wire=build_wire(client),
            log=log or LogBook(),
            store=store,
            clocks=Clocks(
                now=lambda: EPOCH + clock.current_time() + service.clock_offset,
                wall=lambda: EPOCH + clock.current_time() + service.clock_offset,
                jitter=lambda: 0.5,
            ),
            has_replicas=has_replicas,
        )

        async def keep_running() -> None:
            with service.broker_scope:
                await broker.run()

        nursery.start_soon(keep_running)
        yield broker
        service.broker_scope.cancel("the test has ended")
