"""Faults of the upstream and of the way to it, over real sockets: how often it is asked, what the client is told."""

import email.utils
import gzip
import json
import resource
import socket
import time
import zlib
from functools import partial

import httpx
import pytest
import trio

from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.script import (
    Cut,
    CutBeforeHead,
    Event,
    Hang,
    HangBeforeHead,
    Head,
    Pause,
    Proceed,
    Respond,
    Script,
    Send,
)
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import build_error
from kiro2api.upstream import Pauses
from tests.support.proxy import HELLO, Proxy, running_proxy, until
from tests.support.raw_upstream import HELLO_FRAME, STREAM_HEAD, encode_chunked, keep_silent, raw_upstream, say
from tests.support.troubles import NO_CAPACITY, THROTTLED

pytestmark = pytest.mark.slow

TEXT = Event("assistantResponseEvent", {"content": "Hello"})
STREAMED = HELLO | {"stream": True}
MESSAGES, COMPLETIONS = "/v1/messages", "/v1/chat/completions"
HTML = b"<html>Bad gateway</html>"

both = pytest.mark.parametrize("path", [MESSAGES, COMPLETIONS])


def _error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["type"]


def _last_error(response: httpx.Response) -> str:
    """The type of the error that a stream ends in."""
    assert response.status_code == 200
    assert "message_stop" not in response.text
    assert "[DONE]" not in response.text
    document = json.loads(response.text.strip().splitlines()[-1].removeprefix("data: "))
    kind: str = document["error"]["type"]
    return kind


async def _read_log(proxy: Proxy) -> tuple[str, str]:
    """Outcome and failure of the latest exchange."""
    line = (await proxy.log.wait("exchange"))[-1]
    return str(line["outcome"]), str(line.get("failure", ""))


def _list_standings(proxy: Proxy) -> set[str]:
    return {state.standing.value for state in proxy.broker.statistics().credentials}


@both
async def test_a_refused_connection_is_tried_three_times_and_harms_no_credential(path: str) -> None:
    """The log names the cause."""
    async with running_proxy(kiro_upstream_url="http://127.0.0.1:9") as proxy:
        response = await proxy.client.post(path, json=HELLO)
        assert _error(response) == (502, "api_error" if path == MESSAGES else "server_error")
        outcome, failure = await _read_log(proxy)
        assert outcome == "upstream"
        assert "ConnectionRefusedError" in failure
        assert proxy.log.find("exchange")[0]["upstream_calls"] == 3
        assert _list_standings(proxy) == {"usable"}


class _NoNames(trio.abc.HostnameResolver):
    async def getaddrinfo(  # type: ignore[override]  # it answers nobody
        self, host: bytes | None, *_: object, **__: object
    ) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, f"no {host!r}")

    async def getnameinfo(self, _sockaddr: object, _flags: int) -> tuple[str, str]:
        raise NotImplementedError


async def test_a_name_that_does_not_resolve_is_an_unreachable_upstream() -> None:
    """502 like any other."""
    trio.socket.set_custom_hostname_resolver(_NoNames())
    async with running_proxy(kiro_upstream_url="https://upstream.invalid") as proxy:
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (502, "api_error")
        assert "gaierror" in (await _read_log(proxy))[1]
        assert _list_standings(proxy) == {"usable"}


async def test_tls_with_somebody_who_speaks_none_is_tried_twice() -> None:
    """The library's own text is empty; the log names the cause all the same."""
    play = say(b"HTTP/1.1 400 Bad Request\r\n\r\n", read=1)
    async with raw_upstream(play) as raw, running_proxy(kiro_upstream_url=raw.url.replace("http", "https")) as proxy:
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (502, "api_error")
        assert raw.connections == 2
        assert "SSLError" in (await _read_log(proxy))[1]


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        pytest.param([CutBeforeHead()], 2, id="reset"),
        pytest.param([CutBeforeHead(reset=False)], 2, id="closed"),
        pytest.param([Head(), Cut()], 2, id="reset after the head"),
        pytest.param([build_error(500, "Oops.", error_type="InternalServerException")], 2, id="500"),
        pytest.param([Respond(502, {"content-type": "text/html"}, HTML)], 2, id="502"),
        pytest.param([Respond(503)], 2, id="503"),
        pytest.param([Respond(200, {"content-type": "text/html"}, HTML)], 2, id="page"),
        pytest.param([Respond(200, {"content-type": "application/json"}, b"{}")], 2, id="json"),
        pytest.param([Respond(307, {"location": "/generateAssistantResponse"})], 1, id="redirect"),
        pytest.param([Respond(418)], 1, id="other"),
        pytest.param([Head()], 2, id="empty"),
        pytest.param([Send(b"\x00" * 16)], 2, id="damaged"),
    ],
)
async def test_a_fault_of_the_upstream_is_repeated_once_at_the_most(script: Script, calls: int) -> None:
    """Once it has happened, the client notices nothing if a second call helps; else it is 502 for both."""
    async with running_proxy(refresh_tokens="refresh-a,refresh-b") as proxy:
        proxy.simulator.enqueue(script)
        response = await proxy.client.post(MESSAGES, json=HELLO)
        assert (response.status_code, len(proxy.simulator.generations)) == (200 if calls == 2 else 502, calls)
        proxy.simulator.requests.clear()
        proxy.simulator.enqueue(script, script)
        response = await proxy.client.post(COMPLETIONS, json=STREAMED)
        assert _error(response) == (502, "server_error")
        assert len(proxy.simulator.generations) == calls
        assert len({record.credential for record in proxy.simulator.generations}) == calls
        assert proxy.broker.statistics().in_flight == 0


async def test_a_gateway_that_timed_out_is_asked_once_more() -> None:
    """Its page is no JSON, and no matter."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [Respond(504, {}, HTML)]
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (504, "timeout_error")
        assert len(proxy.simulator.generations) == 2


async def test_a_model_without_capacity_is_asked_three_times_and_blames_nobody() -> None:
    """Twice full, then an answer; always full, then 529 and 503."""
    async with running_proxy() as proxy:
        proxy.simulator.enqueue(NO_CAPACITY, NO_CAPACITY)
        assert (await proxy.client.post(MESSAGES, json=HELLO)).status_code == 200
        proxy.simulator.responder = lambda _record: NO_CAPACITY
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (529, "overloaded_error")
        assert _error(await proxy.client.post(COMPLETIONS, json=HELLO)) == (503, "server_error")
        assert len(proxy.simulator.generations) == 9
        assert _list_standings(proxy) == {"usable"}


async def test_a_streaming_client_hears_pings_while_a_full_model_is_waited_for() -> None:
    """Its head goes out meanwhile, and the answer follows."""
    async with running_proxy(ping_interval=0.05) as proxy:
        proxy.service.upstream.pauses = Pauses(capacity=0.3)
        proxy.simulator.enqueue(NO_CAPACITY)
        response = await proxy.client.post(MESSAGES, json=STREAMED)
        before, _, after = response.text.partition("event: content_block_start")
        assert before.count("event: ping") >= 3
        assert before.count("event: message_start") == 1
        assert "event: message_stop" in after


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_in_a_pause_ends_the_retrying(stream: bool) -> None:  # noqa: FBT001  a parameter
    """No further call, no lease, no place in the budget."""
    async with running_proxy() as proxy:
        proxy.service.upstream.pauses = Pauses(capacity=0.2)
        proxy.simulator.responder = lambda _record: NO_CAPACITY
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(proxy.client.post, MESSAGES, json=HELLO | {"stream": stream}))
            [_, record] = await proxy.simulator.wait_requests(2)
            await record.finished.wait()
            await until(lambda: proxy.broker.statistics().in_flight == 0)
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            [line] = await proxy.log.wait("exchange")
        assert line["outcome"] == "client_disconnected"
        await trio.sleep(0.3)
        assert len(proxy.simulator.generations) == 1


async def test_a_client_that_leaves_during_a_refresh_does_not_take_it_along() -> None:
    """The auth service has rotated already: what it answers later must not be lost."""
    simulator = Simulator(accounts=Accounts(rotate=True))
    async with running_proxy(simulator) as proxy:
        await proxy.client.post(MESSAGES, json=HELLO)
        for _ in range(2):
            simulator.accounts.expire_access_tokens()
            simulator.enqueue_refresh([Pause(0.2), Proceed()])
            seen = len(simulator.refreshes)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(proxy.client.post, MESSAGES, json=HELLO))
                await until(lambda: len(simulator.refreshes) > seen)  # noqa: B023  it is over before the next turn
                nursery.cancel_scope.cancel()
            assert (await proxy.client.post(MESSAGES, json=HELLO)).status_code == 200
            assert len(simulator.refreshes) == seen + 1


@pytest.mark.parametrize(
    ("retry_after", "calls", "told"),
    [
        ("1", 2, {"1", "2"}),
        ("3600", 1, {"3600"}),
        ("99999", 1, {"3600"}),
        (email.utils.formatdate(time.time() + 90, usegmt=True), 1, {str(seconds) for seconds in range(1, 91)}),
        ("soon", 1, {"4", "5", "6"}),
    ],
)
async def test_a_retry_after_is_waited_for_only_if_it_is_short(retry_after: str, calls: int, told: set[str]) -> None:
    """Seconds and dates are read, an hour is the most that is passed on, and nonsense is our own figure."""
    async with running_proxy() as proxy:
        throttled = Respond(429, {"retry-after": retry_after})
        proxy.simulator.responder = lambda _record: [throttled]
        began = trio.current_time()
        response = await proxy.client.post(COMPLETIONS, json=HELLO)
        assert _error(response) == (429, "rate_limit_error")
        assert response.headers["retry-after"] in told
        assert len(proxy.simulator.generations) == calls
        assert trio.current_time() - began < 10


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"NONSENSE\r\n\r\n", id="bad status line"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"\x00" * 100, id="binary"),
        pytest.param(STREAM_HEAD + b"x-long: " + b"x" * 400_000 + b"\r\n\r\n", id="a header of 400 KB"),
        pytest.param(STREAM_HEAD + b"x: y\r\n" * 66_000 + b"\r\n", id="66,000 headers"),
        pytest.param(STREAM_HEAD + b"content-length: nine\r\n\r\n", id="bad length"),
        pytest.param(STREAM_HEAD + b"content-encoding: br\r\n" + encode_chunked(HELLO_FRAME), id="brotli"),
        pytest.param(STREAM_HEAD + b"content-encoding: gzip\r\n" + encode_chunked(HELLO_FRAME), id="no gzip"),
        pytest.param(STREAM_HEAD + b"content-length: 9999\r\n\r\n" + HELLO_FRAME[:20], id="short"),
    ],
)
async def test_what_is_no_http_answer_is_told_as_502(answer: bytes) -> None:
    """After one more try, in both dialects."""
    async with raw_upstream(say(answer)) as raw, running_proxy(kiro_upstream_url=raw.url) as proxy:
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (502, "api_error")
        assert _error(await proxy.client.post(COMPLETIONS, json=STREAMED)) == (502, "server_error")
        assert raw.connections == 4
        assert _list_standings(proxy) <= {"usable", "passed_over"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(STREAM_HEAD + b"\r\n" + HELLO_FRAME, id="until close"),
        pytest.param(b"%bcontent-length: %d\r\n\r\n%b" % (STREAM_HEAD, len(HELLO_FRAME), HELLO_FRAME), id="length"),
        pytest.param(STREAM_HEAD + encode_chunked(HELLO_FRAME[:7], HELLO_FRAME[7:]), id="chunked"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
            + STREAM_HEAD
            + encode_chunked(HELLO_FRAME),
            id="100 and 103 first",
        ),
        pytest.param(
            STREAM_HEAD + b"content-encoding: gzip\r\n" + encode_chunked(gzip.compress(HELLO_FRAME)), id="gzip"
        ),
        pytest.param(
            STREAM_HEAD + b"content-encoding: deflate\r\n" + encode_chunked(zlib.compress(HELLO_FRAME)), id="deflate"
        ),
    ],
)
async def test_every_way_in_which_http_delimits_and_packs_a_body_is_read(answer: bytes) -> None:
    """One call, and the answer is whole; that the connection is closed afterwards costs nothing either."""
    async with raw_upstream(say(answer)) as raw, running_proxy(kiro_upstream_url=raw.url) as proxy:
        for number in (1, 2, 3):
            response = await proxy.client.post(MESSAGES, json=HELLO)
            assert response.json()["content"][0]["text"] == "Hello"
            assert raw.connections == number


@both
async def test_a_short_content_length_after_output_is_an_error_in_the_stream(path: str) -> None:
    """A frame more was promised; nothing is asked again."""
    answer = STREAM_HEAD + b"content-length: 9999\r\n\r\n" + HELLO_FRAME
    async with raw_upstream(say(answer)) as raw, running_proxy(kiro_upstream_url=raw.url) as proxy:
        response = await proxy.client.post(path, json=STREAMED)
        assert _last_error(response) == ("api_error" if path == MESSAGES else "server_error")
        assert "Hello" in response.text
        assert raw.connections == 1


async def test_a_gzip_bomb_is_left_at_its_first_frame() -> None:
    """400 MB of zeros cost next to no memory."""
    packer, zeros = zlib.compressobj(wbits=31), bytes(1_000_000)
    first, further = (packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first + 399 * further
    answer = STREAM_HEAD + b"content-encoding: gzip\r\n" + encode_chunked(bomb)
    async with raw_upstream(say(answer)) as raw, running_proxy(kiro_upstream_url=raw.url) as proxy:
        await proxy.client.get("/healthz")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert _error(await proxy.client.post(MESSAGES, json=HELLO)) == (502, "api_error")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


async def test_an_early_error_answer_is_read_though_the_body_is_not() -> None:
    """400 after 1 KB of 5 MB is a 400, once."""
    body = b'{"message": "Improperly formed request.", "reason": null}'
    answer = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    long = HELLO | {"messages": [{"role": "user", "content": "x" * 5_000_000}]}
    async with raw_upstream(say(answer + body, read=1000)) as raw, running_proxy(kiro_upstream_url=raw.url) as proxy:
        assert _error(await proxy.client.post(MESSAGES, json=long)) == (400, "invalid_request_error")
        assert raw.connections == 1


@both
async def test_a_connection_that_is_not_made_in_time_is_unreachable(path: str) -> None:
    """Somebody accepts, and does not shake hands; it is tried as often as a refused connection."""
    async with raw_upstream(keep_silent()) as raw:
        settings = {"kiro_upstream_url": f"https://127.0.0.1:{raw.port}", "kiro_connect_timeout": 0.1}
        async with running_proxy(**settings) as proxy:  # type: ignore[arg-type]  # one of the names is a parameter's
            response = await proxy.client.post(path, json=HELLO)
            assert _error(response) == (502, "api_error" if path == MESSAGES else "server_error")
            outcome, failure = await _read_log(proxy)
            assert outcome == "upstream"
            assert failure.startswith("ConnectTimeout")
            assert raw.connections == 3


DRIP: Script = [step for _ in range(100) for step in (TEXT, Pause(0.02))]


@both
@pytest.mark.parametrize(
    ("script", "setting", "limit", "has_output"),
    [
        pytest.param([HangBeforeHead()], "kiro_first_byte_timeout", "first byte limit: 0.2 s", False, id="no head"),
        pytest.param([Head(), Hang()], "kiro_first_byte_timeout", "first byte limit: 0.2 s", False, id="no body"),
        pytest.param(
            [Send(HELLO_FRAME[:9]), Hang()], "kiro_idle_timeout", "idle limit: 0.2 s", False, id="half a frame"
        ),
        pytest.param([TEXT, Hang()], "kiro_idle_timeout", "idle limit: 0.2 s", True, id="stalled"),
        pytest.param(DRIP, "kiro_total_timeout", "total limit: 0.2 s", True, id="endless"),
    ],
)
async def test_each_limit_of_silence_is_told_and_logged_as_itself(
    path: str,
    script: Script,
    setting: str,
    limit: str,
    has_output: bool,  # noqa: FBT001  a parameter
) -> None:
    """Whole: 504. Streamed: 504 before the first byte, an error in the stream after it. One call each, then closed."""
    kind = "timeout_error" if path == MESSAGES else "server_error"
    async with running_proxy(**{setting: 0.2}) as proxy:  # type: ignore[arg-type]  # one of the names is a parameter's
        proxy.simulator.responder = lambda _record: script
        assert _error(await proxy.client.post(path, json=HELLO)) == (504, kind)
        streamed = await proxy.client.post(path, json=STREAMED)
        if has_output:
            assert _last_error(streamed) == kind
        else:
            assert _error(streamed) == (504, kind)
        lines = await proxy.log.wait("exchange", 2)
        assert [(line["outcome"], line["failure"]) for line in lines] == [("upstream_timeout", limit)] * 2
        await until(lambda: not proxy.simulator.streams_open)
        assert [record.outcome for record in proxy.simulator.generations] == ["cut_by_peer"] * 2


@both
async def test_a_stalled_stream_is_kept_alive_until_its_limit(path: str) -> None:
    """Pings while there is hope, then the error."""
    async with running_proxy(ping_interval=0.05, kiro_idle_timeout=0.4) as proxy:
        proxy.simulator.enqueue([TEXT, Hang()])
        response = await proxy.client.post(path, json=STREAMED)
        assert response.text.count("event: ping" if path == MESSAGES else ": keep-alive") >= 3
        _last_error(response)


@both
async def test_a_refresh_that_takes_too_long_is_no_fault_of_the_client_s_key(path: str) -> None:
    """503 that is not to be repeated; the log says which limit it was."""
    simulator = Simulator()
    simulator.refresh_responder = lambda _record: [HangBeforeHead()]
    async with running_proxy(simulator, kiro_refresh_timeout=0.2) as proxy:
        response = await proxy.client.post(path, json=HELLO)
        assert _error(response) == (503, "api_error" if path == MESSAGES else "server_error")
        assert response.headers["x-should-retry"] == "false"
        assert await _read_log(proxy) == ("no_credential", "social-1 refresh_failed")
        [line] = proxy.log.find("credential_refresh_failed")
        assert line["reason"] == "no answer in 0.2 s"


async def test_the_budget_bounds_what_a_sick_upstream_is_asked() -> None:
    """Ten requests at once, three of which may be retried at a time."""
    async with running_proxy() as proxy:
        proxy.service.upstream.pauses = Pauses(capacity=0.3)
        proxy.simulator.responder = lambda _record: NO_CAPACITY
        statuses: list[int] = []

        async def call() -> None:
            statuses.append((await proxy.client.post(MESSAGES, json=HELLO)).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(call)
        assert statuses == [529] * 10
        assert len(proxy.simulator.generations) <= 10 + 3 * 2


async def test_turning_to_another_credential_is_not_bounded_by_the_budget() -> None:
    """Twenty requests that meet a throttled credential are all answered by the other one."""
    simulator = Simulator()
    simulator.responder = lambda record: THROTTLED if record.credential == "refresh-a" else None
    async with running_proxy(simulator, refresh_tokens="refresh-a,refresh-b") as proxy:
        statuses: list[int] = []

        async def call() -> None:
            statuses.append((await proxy.client.post(MESSAGES, json=HELLO)).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(call)
        assert statuses == [200] * 20
