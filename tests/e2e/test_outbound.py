"""Where secrets go: nowhere that a redirect names, to nobody without a certificate, through a proxy only if told to."""

import ast
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

import kiro2api
from kiro2api.simulator.addresses import USAGE_LIMITS_PATH
from kiro2api.simulator.script import Respond, Script
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import GENERATE_PATH, REFRESH_PATH
from tests.support.greetings import ask
from tests.support.proxy import running_proxy
from tests.support.raw_upstream import RawUpstream, raw_upstream, say

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
REDIRECTS = [301, 302, 303, 307, 308]


def redirect(status: int, canary: RawUpstream) -> Script:
    """An answer that names another address."""
    return [Respond(status, {"location": f"{canary.url}/elsewhere"})]


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_is_not_followed_with_a_request(status: int) -> None:
    """The access token, and the prompt, stay where they were sent."""
    async with raw_upstream(say(b"")) as canary, running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: redirect(status, canary)
        assert await ask(proxy) == [502]
        assert (canary.connections, len(proxy.simulator.generations)) == (0, 1)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_is_not_followed_with_a_refresh(status: int) -> None:
    """The refresh token stays where it was sent, and the credential is as it is after any failed refresh."""
    simulator = Simulator()
    async with raw_upstream(say(b"")) as canary:
        simulator.refresh_responder = lambda _record: redirect(status, canary)
        async with running_proxy(simulator) as proxy:
            assert await ask(proxy) == [503]
            assert (canary.connections, len(simulator.refreshes)) == (0, 1)
            [failure] = proxy.log.find("credential_refresh_failed")
            assert failure["reason"] == f"status {status}"


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_is_not_followed_with_a_question_to_the_control_plane(status: int) -> None:
    """The access token stays where it was sent, and requests are served all the same."""
    simulator = Simulator()
    async with raw_upstream(say(b"")) as canary:
        simulator.control_responder = lambda _record: redirect(status, canary)
        async with running_proxy(simulator, limits_interval=0.05) as proxy:
            await simulator.wait_requests(2, path=USAGE_LIMITS_PATH)
            assert await ask(proxy) == [200]
            assert canary.connections == 0


async def _copy(source: trio.abc.ReceiveStream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some():
            await target.send_all(data)
    except trio.BrokenResourceError:
        pass
    scope.cancel("one side has closed")


async def _pass_on(stream: trio.SSLStream[trio.SocketStream], *, port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as behind, trio.open_nursery() as nursery:
        nursery.start_soon(_copy, stream, behind, nursery.cancel_scope)
        nursery.start_soon(_copy, behind, stream, nursery.cancel_scope)


@asynccontextmanager
async def tls_in_front(simulator: Simulator, authority: trustme.CA) -> AsyncIterator[str]:
    """The address at which ``simulator``, which is started, is found behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        pass_on = partial(_pass_on, port=int(simulator.base_url.rpartition(":")[2]))
        serve = partial(trio.serve_ssl_over_tcp, pass_on, 0, context, host="127.0.0.1", https_compatible=True)
        [listener] = await nursery.start(serve)
        yield f"https://127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel("the test is over")


@pytest.mark.parametrize(
    ("variable", "path", "status"),
    [("kiro_upstream_url", GENERATE_PATH, 502), ("kiro_refresh_url", REFRESH_PATH, 503)],
)
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_certificate_is_verified(
    variable: str, path: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    """Whoever has none of an authority in ``SSL_CERT_FILE`` is told nothing."""
    authority, simulator = trustme.CA(), Simulator()
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "trusted.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    async with tls_in_front(simulator, authority) as url:
        settings: dict[str, Any] = {variable: url + path.removeprefix(GENERATE_PATH)}
        async with running_proxy(simulator, **settings) as proxy:
            assert await ask(proxy) == [200 if is_trusted else status]
            assert bool(simulator.find_requests(path)) is is_trusted


def find_disabled_checks(module: ast.AST) -> Iterator[str]:
    """Each place at which Python code would do without verifying a certificate."""
    for node in ast.walk(module):
        match node:
            case ast.keyword(arg="verify" | "check_hostname", value=ast.Constant(value=False | None)):
                yield ast.unparse(node)
            case ast.Assign(targets=[ast.Attribute(attr="check_hostname")]):
                yield ast.unparse(node)
            case ast.Attribute(attr="CERT_NONE" | "CERT_OPTIONAL" | "_create_unverified_context"):
                yield ast.unparse(node)
            case _:
                pass


@pytest.mark.parametrize(
    "line",
    [
        "httpx.AsyncClient(verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
    ],
)
def test_a_disabled_check_would_be_found(line: str) -> None:
    """In each of its spellings."""
    assert list(find_disabled_checks(ast.parse(line)))


def test_nothing_turns_verification_off() -> None:
    """No module of the program has a place for it, under whatever condition."""
    paths = sorted(Path(kiro2api.__file__).parent.rglob("*.py"))

    found = {path.name: list(find_disabled_checks(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}

    assert len(found) > 20
    assert not any(found.values()), found


@asynccontextmanager
async def forward_proxy(heard: list[bytes]) -> AsyncIterator[RawUpstream]:
    """A proxy of the network that notes what it is asked, and refuses."""

    async def play(stream: trio.SocketStream) -> None:
        heard.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")

    async with raw_upstream(play) as upstream:
        yield upstream


@pytest.mark.parametrize("no_proxy", ["", "upstream.invalid"])
async def test_a_proxy_of_the_environment_is_obeyed(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees no more than the name of the upstream, and not even that if ``NO_PROXY`` has it."""
    heard: list[bytes] = []
    async with forward_proxy(heard) as network:
        for name in PROXY_VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:password@127.0.0.1:{network.port}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        async with running_proxy(kiro_upstream_url="https://upstream.invalid") as proxy:
            assert await ask(proxy) == [502]
            access_token = proxy.simulator.accounts.grants[0].access_token
    asked = [request.split(b"\r\n")[0] for request in heard]
    assert set(asked) == (set() if no_proxy else {b"CONNECT upstream.invalid:443 HTTP/1.1"})
    assert access_token.encode() not in b"".join(heard)
