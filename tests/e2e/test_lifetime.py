"""A request's life over real sockets: who is told what when something ends early."""

import json
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import trio

from kiro2api.simulator.script import (
    Cut,
    ErrorFrame,
    Event,
    ExceptionFrame,
    Hang,
    HangBeforeHead,
    Pause,
    Respond,
    Send,
    WaitFor,
)
from tests.support.proxy import HELLO, Proxy, running_proxy, until

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
STREAMED = HELLO | {"stream": True}


async def _read_first(proxy: Proxy, body: dict[str, object], path: str = "/v1/messages") -> None:
    """Starts a stream, reads until its first text, and leaves."""
    async with proxy.client.stream("POST", path, json=body) as response:
        async for piece in response.aiter_text():
            if "Hello" in piece:
                return


async def test_a_client_that_leaves_mid_stream_closes_the_upstream_at_once() -> None:
    """The simulator sees its stream closed within 100 ms, the lease is back, the log has the outcome."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue([TEXT, Hang()])
        await _read_first(proxy, STREAMED)
        left = trio.current_time()
        [record] = proxy.simulator.generations
        with trio.fail_after(5):
            await record.finished.wait()
            [line] = await proxy.log.wait("exchange")
        assert record.outcome == "cut_by_peer"
        assert record.finished_at is not None
        assert record.finished_at - left < 0.1
        assert proxy.broker.statistics().in_flight == 0
        assert line["outcome"] == "client_disconnected"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_before_the_head_closes_the_upstream(stream: bool) -> None:  # noqa: FBT001  a parameter
    """Also while the upstream has not said anything, streamed or not."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue([HangBeforeHead()])
        with trio.move_on_after(10) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(proxy.client.post, "/v1/messages", json=HELLO | {"stream": stream}))
                [_, _] = await proxy.simulator.wait_requests(2)
                nursery.cancel_scope.cancel()
            [record] = proxy.simulator.generations
            await record.finished.wait()
            [line] = await proxy.log.wait("exchange")
        assert not scope.cancelled_caught
        assert record.outcome == "cut_by_peer"
        assert line["outcome"] == "client_disconnected"
        assert proxy.broker.statistics().in_flight == 0


async def test_a_hundred_clients_that_leave_leave_nothing_behind() -> None:
    """After a hundred abandoned streams as many tasks are alive as before the first."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [TEXT, Hang()]
        await _read_first(proxy, STREAMED)
        await _settle(proxy)
        before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(_read_first, proxy, STREAMED)
        await _settle(proxy)
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= before)
        assert len(proxy.log.find("exchange")) == 101


async def _settle(proxy: Proxy) -> None:
    await until(
        lambda: not (proxy.simulator.streams_open or proxy.broker.statistics().in_flight or proxy.service.lives)
    )


@pytest.mark.parametrize(
    ("script", "kind", "status", "streamed"),
    [
        pytest.param([TEXT, Cut()], "api_error", 502, 200, id="connection lost"),
        pytest.param([TEXT, Send(b"\x00\x00\x00\x7c")], "api_error", 502, 200, id="frame cut at a clean end"),
        pytest.param([TEXT, Send(b"\x00" * 16)], "api_error", 502, 200, id="damaged frame"),
        pytest.param(
            [TEXT, ExceptionFrame("throttlingError", {"message": "slow"})], "rate_limit_error", 429, 200, id="throttled"
        ),
        pytest.param([TEXT, ErrorFrame("InternalFailure", "x")], "api_error", 502, 200, id="error frame"),
        pytest.param(
            [ExceptionFrame("serviceUnavailableError", {"reason": "MODEL_TEMPORARILY_UNAVAILABLE"})],
            "overloaded_error",
            529,
            529,
            id="exception first",
        ),
        pytest.param(
            [TEXT, Event("toolUseEvent", {"toolUseId": "t", "name": "f", "input": '{"a"'})],
            "api_error",
            502,
            200,
            id="tool use cut",
        ),
    ],
)
async def test_a_failing_stream_never_looks_finished(
    script: list[object], kind: str, status: int, streamed: int
) -> None:
    """Streamed, the error is the last event; whole, it has its own status; text that came before is delivered."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: script  # type: ignore[return-value,assignment]  # steps of many kinds
        response = await proxy.client.post("/v1/messages", json=STREAMED)
        assert response.status_code == streamed
        if streamed == 200:
            events = [line for line in response.text.splitlines() if line.startswith("event: ")]
            assert events[-1] == "event: error"
            assert "event: message_stop" not in events
            assert '"text":"Hello"' in response.text
            last = json.loads(response.text.strip().splitlines()[-1].removeprefix("data: "))
            assert last["error"]["type"] == kind
        whole = await proxy.client.post("/v1/messages", json=HELLO)
        assert (whole.status_code, whole.json()["error"]["type"]) == (status, kind)


async def test_an_openai_stream_that_fails_has_no_done() -> None:
    """The error is the last thing: no finish_reason, no [DONE]."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [TEXT, Cut()]
        response = await proxy.client.post("/v1/chat/completions", json=STREAMED)
        assert response.status_code == 200
        last = response.text.strip().splitlines()[-1]
        assert json.loads(last.removeprefix("data: "))["error"]["type"] == "server_error"
        assert "[DONE]" not in response.text


async def test_a_silent_upstream_gets_pings_and_then_an_error() -> None:
    """The head goes out after the first silence; the limit of silence ends the stream with its own error."""
    async with running_proxy(ping_interval=0.05, kiro_first_byte_timeout=0.4, kiro_idle_timeout=0.4) as proxy:
        proxy.simulator.responder = lambda _record: [HangBeforeHead()]
        response = await proxy.client.post("/v1/messages", json=STREAMED)
        events = [line.removeprefix("event: ") for line in response.text.splitlines() if line.startswith("event: ")]
        assert response.status_code == 200
        assert events[0] == "message_start"
        assert events[-1] == "error"
        assert set(events[1:-1]) == {"ping"}
        assert len(events) >= 4
        assert '"timeout_error"' in response.text
        assert len(proxy.simulator.generations) == 1


async def test_an_early_failure_has_its_own_status() -> None:
    """What fails before the first silence is over is told by status, streamed or not."""
    async with running_proxy(kiro_first_byte_timeout=0.1) as proxy:
        proxy.simulator.responder = lambda _record: [HangBeforeHead()]
        for body in (STREAMED, HELLO):
            response = await proxy.client.post("/v1/messages", json=body)
            assert (response.status_code, response.json()["error"]["type"]) == (504, "timeout_error")


async def test_a_stream_that_produces_outlives_the_limit_of_silence() -> None:
    """The limit counts from the last byte, not from the first."""
    async with running_proxy(kiro_first_byte_timeout=1.5, kiro_idle_timeout=1.5) as proxy:
        proxy.simulator.enqueue([step for _ in range(8) for step in (TEXT, Pause(0.25))])
        response = await proxy.client.post("/v1/messages", json=STREAMED)
        assert response.text.count('"text":"Hello"') == 8
        assert "event: message_stop" in response.text


async def test_the_backstop_ends_what_never_ends() -> None:
    """A stream that goes on producing is ended by the total limit, with an error inside the stream."""
    async with running_proxy(kiro_total_timeout=0.4) as proxy:
        proxy.simulator.enqueue([step for _ in range(200) for step in (TEXT, Pause(0.02))])
        response = await proxy.client.post("/v1/messages", json=STREAMED)
        assert '"timeout_error"' in response.text
        assert "event: message_stop" not in response.text


async def test_a_stop_lets_answers_finish_and_tells_those_it_cuts() -> None:
    """A short answer ends whole; an endless one gets an error inside its stream; new connections are refused."""
    release = trio.Event()
    async with running_proxy(shutdown_grace=1.0) as proxy:
        texts: dict[str, str] = {}

        async def call(name: str, script: list[object]) -> None:
            proxy.simulator.enqueue(script)  # type: ignore[arg-type]  # steps of many kinds
            async with proxy.client.stream("POST", "/v1/messages", json=STREAMED) as response:
                texts[name] = "".join([piece async for piece in response.aiter_text()])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, "short", [TEXT, WaitFor(release)])
            await proxy.simulator.wait_requests(2)
            nursery.start_soon(call, "endless", [TEXT, Hang()])
            await proxy.simulator.wait_requests(3)
            proxy.stop.set()
            await proxy.log.wait("stopping")
            release.set()
        with trio.fail_after(3):
            await proxy.log.wait("stopped")
        assert "event: message_stop" in texts["short"]
        assert '"overloaded_error"' in texts["endless"]
        with pytest.raises(httpx.ConnectError):
            await proxy.client.get("/healthz")


async def test_a_refused_request_is_not_read() -> None:
    """A wrong key is told before 20 MB of body have come, and the connection is closed."""
    async with running_proxy() as proxy:
        host, port = proxy.url.removeprefix("http://").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            head = f"POST /v1/messages HTTP/1.1\r\nhost: {host}\r\ncontent-length: 20000000\r\n\r\n"
            with trio.fail_after(2):
                await stream.send_all(head.encode())
                answer = b""
                while piece := await stream.receive_some():
                    answer += piece
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in answer


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/messages"])
async def test_a_connection_survives_a_refusal(path: str) -> None:
    """A small body of a refused request is read, so that the next request can use the connection."""
    async with running_proxy() as proxy:
        for _ in range(3):
            response = await proxy.client.post(path, json={"messages": 3}, headers={"authorization": "Bearer no"})
            assert "connection" not in response.headers


async def test_a_body_over_the_limit_is_refused() -> None:
    """413 in the dialect's form, by the announced length and by counting."""
    async with running_proxy(max_body_bytes=1000) as proxy:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100

        for content in (b"x" * 2000, pieces()):
            response = await proxy.client.post("/v1/messages", content=content)
            assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")


async def test_a_refresh_goes_on_without_the_client_that_caused_it() -> None:
    """A client that leaves during a refresh does not lose the rotated refresh token."""
    async with running_proxy() as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        proxy.simulator.accounts.expire_access_tokens()
        response = await proxy.client.post("/v1/messages", json=HELLO)
        assert response.status_code == 200
        assert len(proxy.simulator.refreshes) == 2


async def test_an_answer_that_is_no_event_stream_is_asked_for_once_more() -> None:
    """A captive portal's page is no empty success."""
    async with running_proxy() as proxy:
        page = Respond(200, {"content-type": "text/html"}, b"<html>")
        proxy.simulator.enqueue([page])
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 200
        proxy.simulator.enqueue([page], [page])
        assert (await proxy.client.post("/v1/messages", json=HELLO)).status_code == 502
