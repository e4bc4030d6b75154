"""What real clients sent to a test server is answered in full, streamed and whole, whatever it carries."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.support.proxy import CLIENT_KEY, Proxy

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDINGS = CHECKOUT.parent / "shared" / "recordings"
ANSWERED = ("/v1/messages", "/v1/chat/completions")
RECORDED_KEY = "sk-recording"
OF_THE_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "connection"})
CUT = "\N{HORIZONTAL ELLIPSIS}"
"""A list that was shortened ends with an object whose only key begins so."""


def find_recordings() -> dict[str, list[Path]]:
    """The recorded requests for the two endpoints that answer, by client."""
    found: dict[str, list[Path]] = {}
    for path in sorted(RECORDINGS.glob("*/*/*-POST-*.json")):
        if json.loads(path.read_text("utf-8"))["path"].partition("?")[0] in ANSWERED:
            found.setdefault(path.parts[-3], []).append(path)
    return found


BY_CLIENT = find_recordings()

pytestmark = pytest.mark.skipif(not BY_CLIENT, reason="the recorded requests are not beside this checkout")


class Recording:
    """One recorded request, ready to be sent again with another key."""

    def __init__(self, path: Path) -> None:
        recorded = json.loads(path.read_text("utf-8"))
        self.name = "/".join(path.with_suffix("").parts[-2:])
        self.path: str = recorded["path"]
        self.headers = [
            (name, value.replace(RECORDED_KEY, CLIENT_KEY))
            for name, value in recorded["headers"]
            if name.lower() not in OF_THE_CONNECTION
        ]
        self.body: dict[str, object] = recorded["body"]
        if isinstance(tools := self.body.get("tools"), list):
            self.body["tools"] = [tool for tool in tools if not next(iter(tool)).startswith(CUT)]

    async def send(self, client: httpx2.AsyncClient, url: str, *, stream: bool) -> str:
        """Sends it; returns in a few words what came back."""
        body = self.body | {"stream": stream}
        response = await client.post(url + self.path, headers=self.headers, json=body)
        if response.status_code != httpx2.codes.OK:
            return f"{response.status_code} {response.text}"
        if stream:
            return f"stream, ends with {response.text.rstrip().splitlines()[-1][:30]}"
        answer = response.json()
        return f"{answer.get('type') or answer['object']} of {answer['model']}"

    def expect(self, *, stream: bool) -> str:
        """What ought to come back."""
        is_anthropic = self.path.startswith("/v1/messages")
        if stream:
            end = 'data: {"type":"message_stop"}' if is_anthropic else "data: [DONE]"
            return f"stream, ends with {end[:30]}"
        return f"{'message' if is_anthropic else 'chat.completion'} of {self.body['model']}"


@pytest.mark.parametrize("client", BY_CLIENT)
async def test_recorded_requests_are_answered(client: str, proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """Streamed as well as whole, to the end, under the name of the model that was asked for."""
    recordings = [Recording(path) for path in BY_CLIENT[client]]
    expected: dict[tuple[str, bool], str] = {}
    got: dict[tuple[str, bool], str] = {}
    for recording in recordings:
        if "thread" in recording.body:
            continue
        for stream in (False, True):
            expected[recording.name, stream] = recording.expect(stream=stream)
            got[recording.name, stream] = await recording.send(http, proxy.url, stream=stream)
    assert got == expected
    assert expected


async def test_recorded_threads_are_refused(proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """A request that wants the conversation kept here is told, by code, to send all of it."""
    recordings = [Recording(path) for paths in BY_CLIENT.values() for path in paths]
    threads = [recording for recording in recordings if "thread" in recording.body]
    for recording in threads:
        response = await http.post(proxy.url + recording.path, headers=recording.headers, json=recording.body)
        code = response.json()["error"].get("details", {}).get("error_code")
        assert (response.status_code, code) == (400, "thread_unsupported_request")
    assert threads
