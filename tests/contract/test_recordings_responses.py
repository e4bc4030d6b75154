"""What Codex and others sent to ``/v1/responses`` of a test server is answered in full, streamed and whole."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.contract.test_recordings import RECORDINGS, Recording
from tests.support.proxy import Proxy


def find_recordings() -> dict[str, list[Path]]:
    """The recorded requests, by client."""
    found: dict[str, list[Path]] = {}
    for path in sorted(RECORDINGS.glob("*/*/*-POST-*responses*.json")):
        if json.loads(path.read_text("utf-8"))["path"].partition("?")[0] == "/v1/responses":
            found.setdefault(path.parts[-3], []).append(path)
    return found


BY_CLIENT = find_recordings()

pytestmark = pytest.mark.skipif(not BY_CLIENT, reason="the recorded requests are not beside this checkout")


async def send(recording: Recording, client: httpx2.AsyncClient, url: str, *, stream: bool) -> str:
    """Sends it; returns in a few words what came back."""
    response = await client.post(
        url + recording.path, headers=recording.headers, json=recording.body | {"stream": stream}
    )
    if response.status_code != httpx2.codes.OK:
        return f"{response.status_code} {response.text}"
    if not stream:
        return describe(response.json())
    last = response.text.rstrip().splitlines()[-2:]
    assert last[0] == "event: response.completed"
    return describe(json.loads(last[1].removeprefix("data: "))["response"])


def describe(response: dict[str, object]) -> str:
    """What the test looks at."""
    usage, output = response["usage"], response["output"]
    assert isinstance(usage, dict)
    assert isinstance(output, list)
    return f"{response['status']} {output[-1]['type']} of {response['model']}, counted: {usage['total_tokens'] > 0}"


@pytest.mark.parametrize("client", BY_CLIENT)
async def test_recorded_requests_are_answered(client: str, proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """Streamed as well as whole, to the end, under the name of the model that was asked for."""
    recordings = [Recording(path) for path in BY_CLIENT[client]]
    answers = [
        await send(recording, http, proxy.url, stream=stream) for recording in recordings for stream in (False, True)
    ]
    expected = [
        f"completed message of {recording.body['model']}, counted: True" for recording in recordings for _ in "12"
    ]
    assert answers == expected
