"""HTTP/2 from end to end: by ALPN, by prior knowledge, not at all; every stream ends, and only its own."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h2.events
import httpx
import pytest
import trio
import trustme
from h2.errors import ErrorCodes

from kiro2api.simulator.script import Cut, Event, Hang, WaitFor
from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy, until
from tests.support.rawhttp import Http2Client, connect, exchange, http2, read_all

pytestmark = pytest.mark.slow

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
STREAMED = json.dumps(HELLO | {"stream": True}).encode()
WHOLE = json.dumps(HELLO).encode()
KEY = {"x-api-key": CLIENT_KEY}
PATH = "/v1/messages"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Signs the certificate of the proxy under test."""
    return trustme.CA()


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Trusts that certificate, and offers both versions of HTTP."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> dict[str, object]:
    """The settings that make a proxy speak TLS."""
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return {"tls_cert_file": tmp_path / "cert.pem", "tls_key_file": tmp_path / "key.pem"}


@asynccontextmanager
async def _connected(**settings: object) -> AsyncIterator[tuple[Proxy, Http2Client]]:
    """A proxy, and a connection to it by prior knowledge."""
    async with running_proxy(**settings) as proxy, http2(proxy.url) as client:  # type: ignore[arg-type]  # of many types
        yield proxy, client


@pytest.mark.parametrize(
    ("is_on", "offers_http2", "version"),
    [(True, True, "HTTP/2"), (True, False, "HTTP/1.1"), (False, True, "HTTP/1.1")],
    ids=["both offer it", "the client does not", "turned off"],
)
async def test_the_version_is_agreed_upon(
    is_on: bool,  # noqa: FBT001  a parameter
    offers_http2: bool,  # noqa: FBT001  the same
    version: str,
    client_tls: ssl.SSLContext,
    certificate: dict[str, object],
) -> None:
    """With TLS by ALPN: HTTP/2 where both sides have it, else HTTP/1.1; whole answers and streams either way."""
    settings = certificate | {"http2": is_on}
    async with running_proxy(**settings) as proxy:  # type: ignore[arg-type]  # of many types
        assert proxy.url.startswith("https://")
        async with httpx.AsyncClient(
            base_url=proxy.url, headers=KEY, verify=client_tls, http1=True, http2=offers_http2
        ) as client:
            whole = await client.post(PATH, content=WHOLE)
            streamed = await client.post(PATH, content=STREAMED)
        assert (whole.http_version, whole.status_code, whole.json()["role"]) == (version, 200, "assistant")
        assert (streamed.http_version, streamed.status_code) == (version, 200)
        assert "event: message_stop" in streamed.text


async def test_a_tls_handshake_has_a_deadline(certificate: dict[str, object]) -> None:
    """A client that connects and says nothing is closed like one that drips its head; clear text is not answered."""
    settings = certificate | {"header_timeout": 0.3}
    async with running_proxy(**settings) as proxy:  # type: ignore[arg-type]  # of many types
        assert await exchange(proxy.url, b"", seconds=3) == b""
        assert b"HTTP/1.1 200" not in await exchange(proxy.url, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", seconds=3)
        assert not proxy.log.find("connection_failed")


async def test_an_error_over_tls_is_told(client_tls: ssl.SSLContext, certificate: dict[str, object]) -> None:
    """Also to a client that is still sending what nobody will read."""
    client_tls.set_alpn_protocols(["http/1.1"])
    async with (
        running_proxy(**certificate) as proxy,  # type: ignore[arg-type]  # of many types
        await connect(proxy.url, client_tls) as stream,
    ):
        await stream.send_all(b"GET\r\n\r\n")
        with trio.fail_after(1):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")


async def test_prior_knowledge_is_refused_when_turned_off() -> None:
    """505, and the connection is closed."""
    async with running_proxy(http2=False) as proxy, await connect(proxy.url) as stream:
        await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        with trio.fail_after(3):
            assert (await read_all(stream)).startswith(b"HTTP/1.1 505")


async def test_streams_share_a_connection() -> None:
    """Twenty at once, each whole; requests and streams in both dialects."""
    async with _connected() as (_, client):
        streams = [await client.request("POST", PATH, body=STREAMED, fields=KEY.items()) for _ in range(20)]
        for stream_id in streams:
            await client.wait(h2.events.StreamEnded, stream_id)
            assert b"event: message_stop" in client.join_body(stream_id)
        status, body = await client.fetch("POST", "/v1/chat/completions", body=STREAMED, fields=KEY.items())
        assert (status, body[-14:]) == ("200", b"data: [DONE]\n\n")


async def test_a_reset_stream_closes_its_upstream_at_once() -> None:
    """Within 100 ms; a stream beside it goes on, and so does the connection."""
    async with _connected() as (proxy, client):
        release = trio.Event()
        proxy.simulator.enqueue([TEXT, Hang()], [TEXT, WaitFor(release), TEXT])
        left = await client.request("POST", PATH, body=STREAMED, fields=KEY.items())
        await client.wait(h2.events.DataReceived, left)
        stays = await client.request("POST", PATH, body=STREAMED, fields=KEY.items())
        await client.wait(h2.events.DataReceived, stays)
        reset_at = trio.current_time()
        await client.reset(left)
        record = proxy.simulator.generations[0]
        with trio.fail_after(5):
            await record.finished.wait()
        assert record.finished_at is not None
        assert (record.outcome, record.finished_at - reset_at < 0.1) == ("cut_by_peer", True)
        release.set()
        await client.wait(h2.events.StreamEnded, stays)
        assert b"event: message_stop" in client.join_body(stays)
        assert (await client.fetch("GET", "/healthz"))[0] == "200"


@pytest.mark.parametrize("way", ["goodbye", "close"])
async def test_a_connection_that_ends_closes_its_upstreams(way: str) -> None:
    """A client that says GOAWAY is gone, like one that just closes: all of its streams end at once."""
    async with _connected() as (proxy, client):
        proxy.simulator.responder = lambda _record: [TEXT, Hang()]
        for _ in range(3):
            stream_id = await client.request("POST", PATH, body=STREAMED, fields=KEY.items())
            await client.wait(h2.events.DataReceived, stream_id)
        left = trio.current_time()
        if way == "goodbye":
            client.connection.close_connection()
            await client.flush()
        else:
            await client.stream.aclose()
        for record in proxy.simulator.generations:
            with trio.fail_after(5):
                await record.finished.wait()
            assert record.finished_at is not None
            assert record.finished_at - left < 0.5
        lines = await proxy.log.wait("exchange", 3)
        assert {line["outcome"] for line in lines} == {"client_disconnected"}


async def test_a_stream_that_fails_ends() -> None:
    """With its error as the last event, and properly: a client need not wait for more."""
    async with _connected() as (proxy, client):
        proxy.simulator.responder = lambda _record: [TEXT, Cut()]
        status, body = await client.fetch("POST", PATH, body=STREAMED, fields=KEY.items())
        assert status == "200"
        assert body.strip().splitlines()[-2] == b"event: error"


@pytest.mark.parametrize(("fields", "status"), [({}, "401"), (KEY, "413")], ids=["no key", "too large"])
async def test_an_answer_need_not_wait_for_the_body(fields: dict[str, str], status: str) -> None:
    """It comes whole while the upload is under way, which is then stopped; the connection goes on."""
    async with _connected(max_body_bytes=1000) as (_, client):
        stream_id = await client.request("POST", PATH, body=b"", fields=fields.items())
        client.connection.send_data(stream_id, b"x" * 10_000)
        await client.flush()
        await client.wait(h2.events.StreamEnded, stream_id)
        reset = await client.wait(h2.events.StreamReset, stream_id)
        assert (client.find_status(stream_id), reset.error_code) == (status, ErrorCodes.NO_ERROR)
        assert (await client.fetch("GET", "/healthz"))[0] == "200"


async def test_a_large_body_is_taken() -> None:
    """Five megabytes, window by window; what is refused then is refused for what it says."""
    async with _connected() as (_, client):
        body = json.dumps(HELLO | {"messages": [{"role": "user", "content": "x" * 5_000_000}]}).encode()
        status, _ = await client.fetch("POST", PATH, body=body, fields=KEY.items())
        assert status in {"200", "400"}


async def test_a_client_that_stalls_one_stream_keeps_the_others() -> None:
    """The stream is reset after the deadline, its upstream closed; another one was served all the while."""
    async with _connected(send_timeout=1) as (proxy, client):
        proxy.simulator.enqueue([Event("assistantResponseEvent", {"content": "x" * 16_000})] * 500)
        client.is_granting = False
        client.connection.increment_flow_control_window(10_000_000)
        stalled = await client.request("POST", PATH, body=STREAMED, fields=KEY.items())
        await client.wait(h2.events.DataReceived, stalled)
        status, body = await client.fetch("POST", PATH, body=STREAMED, fields=KEY.items())
        assert (status, b"event: message_stop" in body) == ("200", True)
        reset = await client.wait(h2.events.StreamReset, stalled)
        assert reset.error_code == ErrorCodes.CANCEL
        record = proxy.simulator.generations[0]
        with trio.fail_after(5):
            await record.finished.wait()
        assert record.outcome == "cut_by_peer"
        assert [line["outcome"] for line in await proxy.log.wait("exchange", 2)] == ["completed", "client_disconnected"]


async def test_a_stop_ends_every_stream() -> None:
    """The client hears goodbye; a short answer ends whole, an endless one with an error and its end."""
    async with _connected(shutdown_grace=0.6) as (proxy, client):
        release = trio.Event()
        proxy.simulator.enqueue([TEXT, WaitFor(release)], [TEXT, Hang()])
        streams = [await client.request("POST", PATH, body=STREAMED, fields=KEY.items()) for _ in range(2)]
        for stream_id in streams:
            await client.wait(h2.events.DataReceived, stream_id)
        proxy.stop.set()
        await proxy.log.wait("stopping")
        release.set()
        rest = b""
        with trio.fail_after(5):
            while piece := await client.stream.receive_some():
                rest += bytes(piece)
        await proxy.log.wait("stopped")
        assert b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" in rest  # GOAWAY
        assert rest.count(b"event: message_stop") == 1
        assert rest.count(b'"overloaded_error"') == 1
        ends = [b"\x00\x01" + stream_id.to_bytes(4) for stream_id in streams]  # DATA with END_STREAM
        assert [end in rest for end in ends] == [True, True]


async def test_nothing_is_left_of_streams_that_were_left() -> None:
    """Fifty streams reset on ten connections: as many tasks as before."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [TEXT, Hang()]

        async def leave(count: int) -> None:
            async with http2(proxy.url) as client:
                for _ in range(count):
                    stream_id = await client.request("POST", PATH, body=STREAMED, fields=KEY.items())
                    await client.wait(h2.events.DataReceived, stream_id)
                    await client.reset(stream_id)

        await leave(1)
        await until(lambda: not (proxy.simulator.streams_open or proxy.service.lives))
        before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(leave, 5)
        await until(lambda: not (proxy.simulator.streams_open or proxy.service.lives))
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= before)
