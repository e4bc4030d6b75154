"""What agents send beside their questions, as they send it."""

import httpx
import pytest

from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy
from tests.support.rawhttp import exchange, render_head

ANTHROPIC = {"anthropic-version": "2023-06-01"}
CHAT = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hello"}]}
CLAUDE_CODE = ANTHROPIC | {
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,no-such-beta-2030-01-01",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "x-app": "cli",
}
NO_KEYS: list[dict[str, str]] = [{}, {"authorization": "Bearer of-somebody-else"}, {"x-api-key": "sk-ant-telemetry"}]
"""What comes with telemetry is for another service."""


def _stranger(proxy: Proxy, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=proxy.url, headers=headers)


@pytest.mark.parametrize("headers", NO_KEYS)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("HEAD", "/", b""),
        ("HEAD", "/?x=1", b""),
        ("HEAD", "/api/hello", b""),
        ("GET", "/api/hello", b'{"message":"hello"}'),
        ("POST", "/api/event_logging/batch", b"{}"),
    ],
)
async def test_a_greeting_needs_no_key(method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
    """It is answered at once, and is no failed login; nobody is asked upstream."""
    async with running_proxy() as proxy, _stranger(proxy, headers) as client:
        response = await client.request(method, path)
        assert (response.status_code, response.content) == (200, body)
        assert response.headers["x-request-id" if "x-api-key" not in headers else "request-id"]
        assert not proxy.log.find("refused")
        assert not proxy.simulator.generations


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("POST", "/"), ("POST", "/api/hello"), ("GET", "/api/event_logging/batch"), ("HEAD", "/api/"),
        ("HEAD", "/v1/models"), ("GET", "/api/hello/"), ("GET", "/v1/v1/models"), ("HEAD", "/x"), ("GET", "/api/x"),
    ],
)  # fmt: skip
async def test_all_else_needs_the_key(method: str, path: str) -> None:
    """Also what stands right beside it."""
    async with running_proxy() as proxy, _stranger(proxy, {}) as client:
        assert (await client.request(method, path)).status_code == 401


async def test_a_warmed_up_connection_is_used() -> None:
    """The answer to HEAD has no body, so that the next answer is not taken for one."""
    first = render_head("HEAD", "/api/hello", {})
    fields = {"authorization": f"Bearer {CLIENT_KEY}", "connection": "close", "content-length": "0"}
    async with running_proxy() as proxy:
        answer = await exchange(proxy.url, first + render_head("GET", "/v1/models", fields))
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200")


async def test_telemetry_is_not_read() -> None:
    """A small body is swallowed and the connection kept; for a large one nobody waits."""
    async with running_proxy() as proxy, _stranger(proxy, {}) as client:
        for size in (10, 10_000):
            response = await client.post("/api/event_logging/batch", json={"events": ["x" * size]})
            assert (response.status_code, response.headers.get("connection")) == (200, None)
        head = render_head("POST", "/api/event_logging/batch", {"content-length": "30000000"})
        answer = await exchange(proxy.url, head + b"{")
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    ("path", "body", "member"),
    [
        ("/v1/messages?beta=true", HELLO, "content"),
        ("/v1/v1/messages", HELLO, "content"),
        ("/v1/v1/messages?beta=true", HELLO, "content"),
        ("/v1/messages/count_tokens?beta=true", HELLO, "input_tokens"),
        ("/v1/v1/messages/count_tokens", HELLO, "input_tokens"),
        ("/v1/v1/chat/completions", CHAT, "choices"),
    ],
)
async def test_addresses_as_users_type_them(path: str, body: dict[str, object], member: str) -> None:
    """A query of a beta, and the prefix twice, change nothing; betas that nobody knows neither."""
    async with running_proxy() as proxy:
        response = await proxy.client.post(path, json=body, headers=CLAUDE_CODE)
        assert (response.status_code, member in response.json()) == (200, True)


@pytest.mark.parametrize(
    ("path", "status", "form"),
    [
        ("/v1/v1/messages/nothing", 404, "anthropic"),
        ("/v1/v1/chat/nothing", 404, "openai"),
        ("/v1/v1", 404, "openai"),
        ("/v1/v1/", 404, "openai"),
        ("/v1/v1/v1/messages", 404, "openai"),
        ("/v1/v1messages", 404, "openai"),
    ],
)
async def test_a_doubled_prefix_is_one_prefix(path: str, status: int, form: str) -> None:
    """The dialect of a refusal is that of the path that is meant; three are too many."""
    async with running_proxy() as proxy:
        response = await proxy.client.post(path, json=HELLO)
        assert (response.status_code, "type" in response.json()) == (status, form == "anthropic")


@pytest.mark.parametrize("path", ["/v1/models?limit=1000", "/v1/v1/models?limit=1000"])
async def test_models_are_discovered(path: str) -> None:
    """Claude Code sends a bearer and Anthropic's version, and keeps names with ``claude`` that have a display name."""
    async with running_proxy() as proxy:
        found = (await proxy.client.get(path, headers=CLAUDE_CODE)).json()
        kept = [model for model in found["data"] if "claude" in model["id"] and model["display_name"]]
        assert {model["type"] for model in kept} == {"model"}
        assert found["has_more"] is False
        assert found["last_id"] == found["data"][-1]["id"]


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-5-haiku-20241022", "claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929", "claude-opus-5-5",
        "claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-4-5[1m]",
    ],
)  # fmt: skip
async def test_background_models_answer(model: str) -> None:
    """A 404 would end the session, whatever name a release of the agent takes for its side work."""
    async with running_proxy() as proxy:
        response = await proxy.client.post("/v1/messages?beta=true", json=HELLO | {"model": model}, headers=CLAUDE_CODE)
        assert (response.status_code, response.json().get("model")) == (200, model)


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_01A"}, {}])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/v1/messages", "/v1/messages/count_tokens"])
async def test_threads_are_refused_by_code(
    thread: dict[str, str],
    stream: bool,  # noqa: FBT001  a parameter
    path: str,
) -> None:
    """So that the SDKs' tool runners go on without, with the whole history, whatever else is in the request."""
    headers = ANTHROPIC | {"anthropic-beta": "message-threads-2026-08-12"}
    messages = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}]
    async with running_proxy() as proxy:
        body = HELLO | {"thread": thread, "stream": stream, "messages": messages}
        response = await proxy.client.post(path, json=body, headers=headers)
        error = response.json()["error"]
        assert (response.status_code, error["type"]) == (400, "invalid_request_error")
        assert error["details"] == {"error_code": "thread_unsupported_request"}
        assert not proxy.simulator.generations
