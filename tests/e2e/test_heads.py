"""Heads of requests that say one thing twice, or what they should not: paths, keys, codings, names, addresses."""

import gzip
import json

import httpx
import pytest
import trio

from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy
from tests.support.rawhttp import exchange, render_head

RIGHT = ("authorization", f"Bearer {CLIENT_KEY}")
WRONG = ("authorization", "Bearer wrong")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([RIGHT, RIGHT], 200),
        ([WRONG, RIGHT], 200),
        ([("x-api-key", "wrong"), WRONG, ("x-api-key", CLIENT_KEY)], 200),
        ([WRONG, WRONG], 401),
        ([("x-api-key", "wrong"), ("x-api-key", ""), WRONG], 401),
        ([("authorization", f"Bearer wrong, Bearer {CLIENT_KEY}")], 401),
    ],
)
async def test_of_several_keys_a_right_one_lets_in(fields: list[tuple[str, str]], status: int) -> None:
    """Each header counts as a whole, whichever stands first."""
    async with running_proxy() as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        response = await client.post("/v1/messages", json=HELLO, headers=fields)
        assert response.status_code == status
        assert len(proxy.simulator.generations) == (status == 200)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions"])
async def test_a_compressed_body_is_refused(path: str) -> None:
    """Before it is read, and without being unpacked; ``identity`` is no compression."""
    bomb = gzip.compress(bytes(10_000_000))
    async with running_proxy() as proxy:
        for coding in ("gzip", "GZIP", "identity, gzip", "br", "x"):
            response = await proxy.client.post(path, content=bomb, headers={"content-encoding": coding})
            error = response.json()["error"]
            assert (response.status_code, error["type"]) == (400, "invalid_request_error")
            assert "Content-Encoding" in error["message"]
        assert not proxy.simulator.generations
        plain = await proxy.client.post(path, json=HELLO, headers={"content-encoding": "identity"})
        assert plain.status_code == 200


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/v1/messages", ("timeout_error", None)), ("/v1/chat/completions", ("invalid_request_error", "request_timeout"))],
)
async def test_a_body_that_drips_is_not_waited_for(path: str, expected: tuple[str, str | None]) -> None:
    """After the deadline for all of it the client is told so, in its dialect, and the connection is closed."""
    head = render_head("POST", path, {"authorization": f"Bearer {CLIENT_KEY}", "content-length": "100000"})
    async with running_proxy(server_read_timeout_minutes=0.005) as proxy:
        began = trio.current_time()
        fields, _, body = (await exchange(proxy.url, head + b'{"model"')).partition(b"\r\n\r\n")
        assert trio.current_time() - began < 3
        error = json.loads(body)["error"]
        assert fields.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in fields
        assert (error["type"], error.get("code")) == expected
        assert not proxy.simulator.generations


async def _ask(proxy: Proxy, target: str, method: str = "GET") -> tuple[bytes, dict[str, object]]:
    """Status and JSON of the answer to a request whose target is not tidied up by any client."""
    fields = {"authorization": f"Bearer {CLIENT_KEY}", "connection": "close", "content-length": "0"}
    head, _, body = (await exchange(proxy.url, render_head(method, target, fields))).partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return head[9:12], json.loads(body)


async def test_odd_targets_are_not_found() -> None:
    """No file is served, no path is tidied up, and the refusal is JSON."""
    targets = [
        "/", "//", "///", "/v1/models/", "/v1/models/../../etc/passwd", "/..", "/%2e%2e/etc/passwd", "/%00",
        "/v1/models%00", "/v1/messages/%0d%0ax", "/V1/models", "/v1/chat", "/.env", "/v1/models;x", "/v1//models",
    ]  # fmt: skip
    async with running_proxy() as proxy:
        for target in targets:
            status, body = await _ask(proxy, target)
            assert (status, set(body) >= {"error"}) == (b"404", True), target
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW"):
            status, body = await _ask(proxy, "/v1/messages", method)
            assert (status, set(body) >= {"error"}) == (b"405", True), method
        assert not proxy.log.find("request_failed")


async def test_a_forwarded_address_is_not_believed() -> None:
    """Nor any of its other names: the log has none of them; an id that could break its lines is replaced."""
    names = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9", "x-real-ip": "203.0.113.9"}
    async with running_proxy() as proxy:
        for request_id in ('a"b', "a b", "x" * 10_000, "<x>", "a\tb"):
            response = await proxy.client.post("/v1/messages", json=HELLO, headers=names | {"x-request-id": request_id})
            assert response.headers["request-id"].startswith("req_")
        written = repr(proxy.log.entries)
        assert "203.0.113.9" not in written
        assert "203.0.113.9" not in repr(proxy.simulator.requests)
        assert "xxxx" not in written


async def test_nothing_in_front_collects_or_cuts_a_stream() -> None:
    """Proxies are told not to buffer it, and the framework has no limit of time for an answer."""
    async with running_proxy() as proxy:
        response = await proxy.client.post("/v1/messages", json=HELLO | {"stream": True})
        assert response.headers["x-accel-buffering"] == "no"
        assert "no-cache" in response.headers["cache-control"]
        assert proxy.app.config["RESPONSE_TIMEOUT"] is None
