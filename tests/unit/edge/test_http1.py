"""What is not served of HTTP/1.1, and what a client may rely on."""

import pytest
import trio

from kiro2api.edge.http1 import PIPELINED_BYTES
from kiro2api.routes.life import INVITE_BODY
from tests.support.edge import Message, Receive, Send, answer, read_request, serving, wait_disconnect
from tests.support.rawhttp import read_all, render_head

GET = render_head("GET", "/")
CLOSING = render_head("GET", "/last", {"connection": "close"})


async def _echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the path and the body."""
    await answer(send, scope["path"].encode() + b" " + await read_request(receive) + b";")


async def _exchange(data: bytes, *, http2: bool = True) -> bytes:
    async with serving(_echo, http2=http2) as peer:
        await peer.stream.send_all(data)
        return await read_all(peer.stream)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(render_head("POST", "/", {"content-length": "5", "transfer-encoding": "chunked"}), 400, id="both"),
        pytest.param(b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400, id="chunked 1.0"),
        pytest.param(render_head("GET", "/", {f"x-{n}": "y" for n in range(100)}), 431, id="101 fields"),
        pytest.param(render_head("GET", "/", {"x": "y" * 65_000, "z": "y" * 1000}), 431, id="large fields"),
        pytest.param(render_head("GET", "/", {"x": "y" * 8_000_000}), 431, id="8 MB"),
        pytest.param(render_head("CONNECT", "proxy:443"), 501, id="connect"),
        pytest.param(b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", 505, id="version"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="prior knowledge, turned off"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET\r\n\r\n", 400, id="no target"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS hello"),
        pytest.param(render_head("GET", "/", {"x": "a\0b"}), 400, id="NUL"),
        pytest.param(render_head("POST", "/", {"content-length": "-1"}), 400, id="negative length"),
        pytest.param(render_head("POST", "/", {"transfer-encoding": "gzip, chunked"}), 501, id="coding"),
    ],
)
async def test_a_head_is_refused(head: bytes, status: int) -> None:
    """With a status and a reason in JSON; the connection is closed, and nothing behind it is served."""
    answered = await _exchange(head + b"0\r\n\r\n" + GET, http2=False)

    assert answered.startswith(b"HTTP/1.1 %d" % status)
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answered.lower()
    assert b'{"type": "error", "error": {"type": "invalid_request_error"' in answered


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMA"}, id="h2c"),
        pytest.param({"connection": "upgrade", "upgrade": "h2c", "http2-settings": "!!"}, id="h2c that is no base64"),
        pytest.param(
            {
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            },
            id="websocket",
        ),
    ],
)
async def test_an_upgrade_is_ignored(fields: dict[str, str]) -> None:
    """The request is answered as any other, and so is the next one on the connection."""
    answered = await _exchange(render_head("GET", "/first", fields) + CLOSING)

    assert answered.count(b"HTTP/1.1 200") == 2
    assert answered.index(b"/first ;") < answered.index(b"/last ;")


@pytest.mark.parametrize("size", [0, 4000], ids=["small", "more than is kept"])
async def test_pipelined_requests_are_answered_in_order(size: int) -> None:
    """One after the other, each with its body, also when more has come than is kept meanwhile."""
    body = b"x" * size
    requests = [render_head("POST", f"/{n}", {"content-length": str(size)}) + body for n in range(20)]

    answered = await _exchange(b"".join(requests) + CLOSING)

    expected = [b"/%d %s;" % (n, body) for n in range(20)] + [b"/last ;"]
    assert 20 * size == 0 or 20 * size > PIPELINED_BYTES
    assert [piece.split(b"\r\n")[-1] for piece in answered.split(b";")[:-1]] == [piece[:-1] for piece in expected]


@pytest.mark.parametrize("rest", [b"", b"\r\n", GET, GET * 3], ids=["nothing", "line", "request", "requests"])
async def test_a_client_that_leaves_is_noticed(rest: bytes) -> None:
    """Whatever it has sent behind its request."""
    gone = trio.Event()

    async def app(_scope: Message, receive: Receive, _send: Send) -> None:
        await wait_disconnect(receive)
        gone.set()

    async with serving(app) as peer:
        await peer.stream.send_all(GET + rest)
        await trio.testing.wait_all_tasks_blocked()
        await peer.stream.aclose()
        with trio.fail_after(5):
            await gone.wait()
            await peer.ended.wait()


@pytest.mark.parametrize("is_invited", [True, False])
async def test_a_body_is_asked_for_only_if_it_is_wanted(is_invited: bool) -> None:  # noqa: FBT001  a parameter
    """``100 Continue`` is sent when the application says so, and not before."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if is_invited:
            await scope["state"][INVITE_BODY]()
            await read_request(receive)
        await answer(send, b"done", status=200 if is_invited else 401)

    async with serving(app) as peer:
        await peer.stream.send_all(render_head("POST", "/", {"content-length": "5", "expect": "100-continue"}))
        answered = bytes(await peer.stream.receive_some())
        assert answered.startswith(b"HTTP/1.1 100" if is_invited else b"HTTP/1.1 401")
        if is_invited:
            await peer.stream.send_all(b"hello")
            assert b"HTTP/1.1 200" in await peer.stream.receive_some()


async def test_an_invitation_that_nobody_waits_for_is_not_sent() -> None:
    """A client that sends its body at once gets one answer only."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await read_request(receive)
        await scope["state"][INVITE_BODY]()
        await answer(send)

    async with serving(app) as peer:
        await peer.stream.send_all(render_head("POST", "/", {"content-length": "2", "expect": "100-continue"}) + b"hi")
        assert (await peer.stream.receive_some()).startswith(b"HTTP/1.1 200")


async def test_a_client_that_is_still_sending_gets_its_answer(autojump_clock: trio.testing.MockClock) -> None:
    """The connection stays open a moment for what nobody reads, so that no reset overtakes the answer."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, status=413)

    async with serving(app) as peer:
        await peer.stream.send_all(render_head("POST", "/", {"transfer-encoding": "chunked"}))
        began = trio.current_time()
        while not peer.ended.is_set() and trio.current_time() < began + 10:
            try:
                await peer.stream.send_all(b"1\r\nx\r\n")
            except trio.BrokenResourceError:
                break
            await trio.sleep(0.1)
        assert (await read_all(peer.stream)).startswith(b"HTTP/1.1 413")
        assert trio.current_time() - began == pytest.approx(2, abs=0.2)


async def test_an_answer_during_a_stop_closes_its_connection() -> None:
    """The client is told with the head, and need not run into a closed connection."""

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await peer.context.terminated.set()
        await answer(send)

    async with serving(app) as peer:
        await peer.stream.send_all(GET)
        answered = await read_all(peer.stream)
        assert b"connection: close" in answered
        assert answered.endswith(b"0\r\n\r\n")


async def test_prior_knowledge_comes_first_or_not_at_all() -> None:
    """Behind a request of HTTP/1.1 nothing is switched any more."""
    answered = await _exchange(GET + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert [line[:12] for line in answered.split(b"\r\n") if line.startswith(b"HTTP/")] == [
        b"HTTP/1.1 200",
        b"HTTP/1.1 505",
    ]
