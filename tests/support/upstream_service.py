"""An upstream in memory, for the loop around the attempts under virtual time."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.credentials import Credential, Want
from kiro2api.auth.refresh import RefreshEndpoints
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.auth.wire import Wire
from kiro2api.protocol.anthropic.response import StreamRenderer, render_answer
from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.turn import Answer
from kiro2api.upstream import Attempts, Pauses, RetryBudget, Silence, Upstream
from kiro2api.upstream.calls import EVENT_STREAM
from tests.support.conversations import user
from tests.support.upstream_events import encode_stream, text_message

EPOCH = 1_760_000_000.0
SILENCE = Silence(first_byte=100, between=50, total=1000)
HELLO = encode_stream([text_message("Hello")])
ANY = Want(model="m")
HOST = "https://kiro.test/"
ENDPOINTS = RefreshEndpoints(social="https://auth.test/refreshToken", oidc="https://auth.test/{region}/token")


class Body(httpx.AsyncByteStream):
    """The given chunks, silences and errors, and then an end."""

    def __init__(self, *parts: bytes | Exception | float) -> None:
        self._parts = iter(parts)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        for part in self._parts:
            match part:
                case bytes():
                    return part
                case Exception():
                    raise part
                case _:
                    await trio.sleep(part)
        raise StopAsyncIteration


type Reply = Callable[[httpx.Request], httpx.Response]


def stream(*parts: bytes | Exception | float, **headers: str) -> Reply:
    """An event stream; numbers are silences in seconds."""
    return lambda _request: httpx.Response(200, headers={"content-type": EVENT_STREAM, **headers}, stream=Body(*parts))


def refuse(status: int, *, headers: dict[str, str] | None = None, **document: object) -> Reply:
    """An error answer."""
    body = json.dumps(document).encode()
    return lambda _request: httpx.Response(status, headers=headers, stream=Body(body))


def fail(error: Exception) -> Reply:
    """No answer."""

    def reply(_request: httpx.Request) -> httpx.Response:
        raise error

    return reply


ANSWER = stream(HELLO)
EXPIRED = refuse(403, message="The bearer token included in the request is invalid.")


@dataclass
class Service:
    """Refreshes every credential, and answers calls by ``replies``, then by ``ANSWER``."""

    replies: list[Reply] = field(default_factory=list)
    by_credential: dict[str, Reply] = field(default_factory=dict)
    """Comes before ``replies``; by refresh token."""
    by_host: dict[str, Reply] = field(default_factory=dict)
    """Comes before all others."""
    hosts: list[str] = field(default_factory=list)
    """Which host each call came to."""
    requests: list[httpx.Request] = field(default_factory=list)
    """The latest calls themselves."""
    calls: list[tuple[float, str]] = field(default_factory=list)
    """When each call came, and with which credential's access token."""
    refreshes: list[str] = field(default_factory=list)
    budget: RetryBudget = field(default_factory=RetryBudget)
    refuses_refresh: bool = False
    refresh_seconds: float = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        if request.url.host == "auth.test":
            refresh_token = httpx.Response(200, content=request.content).json()["refreshToken"]
            self.refreshes.append(refresh_token)
            await trio.sleep(self.refresh_seconds)
            if self.refuses_refresh:
                return httpx.Response(400, json={"error": "invalid_grant"})
            return httpx.Response(200, json={"accessToken": refresh_token, "expiresIn": 3600})
        credential = request.headers["authorization"].removeprefix("Bearer ")
        self.calls.append((trio.current_time(), credential))
        self.hosts.append(request.url.host)
        self.requests.append(request)
        reply = self.by_host.get(request.url.host) or self.by_credential.get(credential)
        return (reply or (self.replies.pop(0) if self.replies else ANSWER))(request)

    @property
    def asked(self) -> str:
        """The credentials of all calls, in their order."""
        return "".join(credential for _, credential in self.calls)

    @property
    def times(self) -> list[float]:
        """When the calls came."""
        return [time for time, _ in self.calls]


@dataclass(kw_only=True)
class Client:
    """Who asks through an :class:`Upstream`, and what they got."""

    upstream: Upstream
    broker: CredentialBroker
    service: Service
    got: bytes = b""
    output_at: int | None = None
    """How many calls the service had seen when the latest request had its first output."""
    attempts: Attempts = field(default_factory=Attempts)

    def offer(self, data: bytes) -> bool:
        self.got += data
        self.output_at = self.output_at or len(self.service.calls)
        return True

    async def flush(self) -> None:
        """There is always room."""

    async def ask(self, *, whole: bool = False, silence: Silence = SILENCE, want: Want = ANY) -> None:
        """One request; afterwards no lease may be left."""
        self.got, self.output_at, self.attempts = b"", None, Attempts()

        try:
            await self.upstream.relay(
                build_exchange(whole=whole), self, want=want, silence=silence, attempts=self.attempts
            )
        finally:
            assert self.broker.statistics().in_flight == 0


def build_exchange(*, whole: bool) -> Exchange:
    """A small exchange, streamed or whole."""

    def render(answer: Answer) -> bytes:
        return render_answer(answer, message_id="msg_1", model="m")

    def new_renderer() -> StreamRenderer | FoldRenderer:
        return FoldRenderer(render) if whole else StreamRenderer(message_id="msg_1", model="m")

    return Exchange(
        conversation=Conversation(model="m", turns=(user("Hi"),), stop_sequences=("STOP",)),
        model=ResolvedModel(public_name="m", upstream_id="m", context_window=200_000, max_output_tokens=64_000),
        conversation_id="c",
        new_renderer=new_renderer,
        max_tool_description_length=10_000,
    )


@asynccontextmanager
async def open_client(
    clock: MockClock,
    service: Service,
    credentials: Sequence[str] | Sequence[Credential] = "a",
    *,
    base_urls: Sequence[str] = (HOST,),
    pauses: Pauses | None = None,
    draw: float = 1.0,
) -> AsyncIterator[Client]:
    """A client of an upstream with those credentials, all of them fresh; texts are refresh tokens."""
    known = [item for item in credentials if isinstance(item, Credential)]
    known = known or list(parse_refresh_tokens(",".join(str(item) for item in credentials)))

    def now() -> float:
        return EPOCH + clock.current_time()

    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as http, trio.open_nursery() as nursery:
        broker = CredentialBroker(
            known,
            wire=Wire(http, endpoints=ENDPOINTS, refresh_seconds=10),
            log=_ignore,
            clocks=Clocks(now=now, wall=now, jitter=lambda: 0.5),
        )
        await nursery.start(broker.run)
        upstream = Upstream(
            client=http,
            broker=broker,
            base_urls=base_urls,
            budget=service.budget,
            pauses=pauses,
            now=now,
            draw=lambda: draw,
        )
        await wait_all_tasks_blocked()
        yield Client(upstream=upstream, broker=broker, service=service)
        nursery.cancel_scope.cancel("the test is over")


def _ignore(_level: int, _event: str, /, **_fields: object) -> None:
    """Keeps no log."""
