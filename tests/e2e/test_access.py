"""Who gets in, and in which dialect a refusal is put."""

import httpx
import pytest
import trio

from tests.support.proxy import CLIENT_KEY, HELLO, Proxy, running_proxy

ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {CLIENT_KEY}"},
        {"authorization": f"bearer {CLIENT_KEY}"},
        {"x-api-key": CLIENT_KEY},
        {"x-api-key": CLIENT_KEY, "authorization": "Bearer wrong"},
        {"x-api-key": "wrong", "authorization": f"Bearer {CLIENT_KEY}"},
    ],
)
async def test_either_header_lets_in(headers: dict[str, str]) -> None:
    """Agents send both, and not always the same in both."""
    async with running_proxy() as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        assert (await client.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Basic {CLIENT_KEY}"},
        {"authorization": "Bearer"},
        {"authorization": CLIENT_KEY},
        {"x-api-key": ""},
        {"x-api-key": CLIENT_KEY[:-1]},
        {"x-api-key": CLIENT_KEY + "x"},
        {"x-api-key": CLIENT_KEY.upper()},
        {"x-api-key": "käse".encode("latin-1")},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
async def test_anything_else_is_a_401_in_the_caller_s_dialect(headers: dict[str, str | bytes]) -> None:
    """Wrong in any way: 401, and the words of the path that was called."""
    encoded = [
        (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()
    ]
    async with running_proxy() as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        anthropic = await client.post("/v1/messages", json=HELLO, headers=encoded)
        openai = await client.post("/v1/chat/completions", json=HELLO, headers=encoded)
        assert (anthropic.status_code, anthropic.json()["error"]["type"]) == (401, "authentication_error")
        assert (openai.status_code, openai.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "Incorrect API key provided" in openai.json()["error"]["message"]
        assert not proxy.simulator.generations


@pytest.mark.parametrize("query", [f"key={CLIENT_KEY}", f"api_key={CLIENT_KEY}"])
async def test_a_key_in_the_query_does_not_count(query: str) -> None:
    """Queries end up in logs."""
    async with running_proxy() as proxy, httpx.AsyncClient(base_url=proxy.url) as client:
        assert (await client.get(f"/v1/models?{query}")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "form"),
    [
        ("GET", "/v1/nothing", {}, 404, "openai"),
        ("GET", "/v1/nothing", ANTHROPIC, 404, "anthropic"),
        ("POST", "/v1/messages/nothing", {}, 404, "anthropic"),
        ("GET", "/v1/messages", {}, 405, "anthropic"),
        ("GET", "/v1/chat/completions", {}, 405, "openai"),
        ("GET", "/v1/models/no-such-model", {}, 404, "openai"),
        ("GET", "/v1/models/no-such-model", ANTHROPIC, 404, "anthropic"),
        ("GET", "/v1/models?limit=no", ANTHROPIC, 400, "anthropic"),
        ("GET", "/..%2fetc/passwd", {}, 404, "openai"),
        ("GET", "/static/x", {}, 404, "openai"),
    ],
)
async def test_refusals_are_json_in_the_caller_s_dialect(
    method: str, path: str, headers: dict[str, str], status: int, form: str
) -> None:
    """No HTML, whatever refuses; every answer has the id that the SDK looks for."""
    async with running_proxy() as proxy:
        response = await proxy.client.request(method, path, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        assert ("type" in response.json()) == (form == "anthropic")
        assert response.headers["request-id" if form == "anthropic" else "x-request-id"]
        if status == 405:
            assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    ("sent", "kept"), [("my-id.1", True), ("x" * 65, False), ('a"b', False), ("a b", False), ("", False)]
)
async def test_a_client_s_request_id_is_kept_when_it_is_harmless(sent: str, kept: bool) -> None:  # noqa: FBT001  a parameter
    """It ends up in the log: letters, digits and three signs, 64 at most."""
    async with running_proxy() as proxy:
        response = await proxy.client.get("/v1/models", headers={"x-request-id": sent})
        assert (response.headers["x-request-id"] == sent) is kept


async def _preflight(proxy: Proxy, origin: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    async with httpx.AsyncClient(base_url=proxy.url) as client:
        return await client.options("/v1/messages", headers=headers)


async def test_browsers_get_in_from_listed_origins_only() -> None:
    """No CORS header by default; with a list, for those on it."""
    async with running_proxy() as proxy:
        assert "access-control-allow-origin" not in (await _preflight(proxy, "https://evil.example")).headers
    async with running_proxy(cors_origins="https://app.example") as proxy:
        listed = await _preflight(proxy, "https://app.example")
        other = await _preflight(proxy, "https://evil.example")
        answer = await proxy.client.get("/v1/models", headers={"origin": "https://app.example"})
        assert listed.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-origin" not in other.headers
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


async def test_an_unexpected_error_is_a_500_without_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours is told generically; the log has the traceback."""
    async with running_proxy() as proxy:

        def fail(_name: str, **_listed: object) -> None:
            raise ZeroDivisionError("canary")

        monkeypatch.setattr(proxy.service.catalog, "resolve", fail)
        response = await proxy.client.post("/v1/messages", json=HELLO)
        assert (response.status_code, response.json()["error"]["type"]) == (500, "api_error")
        assert "canary" not in response.text
        [entry] = proxy.log.find("request_failed")
        assert isinstance(entry["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_defect_while_answering_is_told_too(
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,  # noqa: FBT001  a parameter
) -> None:
    """Also in the pump, which must not raise."""
    async with running_proxy() as proxy:

        async def fail(*_args: object, **_kwargs: object) -> None:
            await trio.lowlevel.checkpoint()
            raise ZeroDivisionError

        monkeypatch.setattr(proxy.service.upstream, "relay", fail)
        response = await proxy.client.post("/v1/messages", json=HELLO | {"stream": stream})
        assert response.status_code == 500
        assert response.json()["error"]["message"] != ""


async def test_disable_stream_sends_a_stream_in_one_piece() -> None:
    """The client gets valid events, and a failure its own status, since nothing was sent before."""
    async with running_proxy(disable_stream=True) as proxy:
        response = await proxy.client.post("/v1/messages", json=HELLO | {"stream": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "content-length" in response.headers
        assert response.text.rstrip().endswith('data: {"type":"message_stop"}')


async def test_a_long_path_is_logged_in_whole_segments() -> None:
    """Half a key that somebody has put into an address would not be known for one."""
    async with running_proxy() as proxy:
        await proxy.client.get(f"/v1/{'x' * 90}/{CLIENT_KEY}/more")
        [line] = proxy.log.find("refused")

    assert line["asked"] == f"GET /v1/{'x' * 90}/…"
