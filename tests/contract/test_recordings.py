"""What real clients sent to a test server is answered in full, streamed and whole, whatever it carries."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.support.proxy import Proxy
from tests.support.recordings import MISSING, RECORDINGS, Recording, list_recordings

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
COUNT = "/v1/messages/count_tokens"

ALL = list_recordings()
THREADS = [recording for recording in ALL if "thread" in recording.body]
COUNTS = [recording for recording in ALL if recording.endpoint == COUNT]
ANSWERED = [
    recording for recording in ALL if recording.endpoint in {MESSAGES, CHAT, RESPONSES} and recording not in THREADS
]
CLIENTS = sorted({recording.client for recording in ANSWERED})

pytestmark = pytest.mark.skipif(not ALL, reason=MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is the same in an answer, streamed or whole."""

    model: str
    said: tuple[str, ...]
    """Kinds of what it is made of, in their order."""
    end: str
    is_counted: bool


def read_message(response: httpx2.Response, *, stream: bool) -> Told:
    """An answer in Anthropic's dialect."""
    if not stream:
        whole = response.json()
        return Told(
            model=whole["model"],
            said=tuple(block["type"] for block in whole["content"]),
            end=whole["stop_reason"],
            is_counted=min(whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) > 0,
        )
    first, *blocks, last, end = iter_events(response)
    assert (first["type"], last["type"], end) == ("message_start", "message_delta", {"type": "message_stop"})
    return Told(
        model=first["message"]["model"],
        said=tuple(event["content_block"]["type"] for event in blocks if event["type"] == "content_block_start"),
        end=last["delta"]["stop_reason"],
        is_counted=min(last["usage"]["input_tokens"], last["usage"]["output_tokens"]) > 0,
    )


def read_completion(response: httpx2.Response, *, stream: bool) -> Told:
    """An answer in OpenAI's dialect."""
    if not stream:
        whole = response.json()
        [choice] = whole["choices"]
        said = [name for name in ("content", "tool_calls") if choice["message"].get(name)]
        return Told(model=whole["model"], said=tuple(said), end=choice["finish_reason"], is_counted=is_counted(whole))
    chunks = [*iter_events(response)]
    assert response.text.endswith("data: [DONE]\n\n")
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    names = ("content", "tool_calls")
    *others, end = [choice["finish_reason"] for choice in choices]
    assert set(others) <= {None}
    return Told(
        model=chunks[-1]["model"],
        said=tuple(name for name in names if any(choice["delta"].get(name) for choice in choices)),
        end=end,
        is_counted="usage" not in chunks[0] or is_counted(chunks[-1]),  # who does not ask is not told
    )


def read_response(response: httpx2.Response, *, stream: bool) -> Told:
    """An answer in OpenAI's other dialect."""
    whole = response.json() if not stream else [*iter_events(response)][-1]["response"]
    output = tuple(item["type"] for item in whole["output"])
    return Told(model=whole["model"], said=output, end=whole["status"], is_counted=is_counted(whole))


def is_counted(answer: dict[str, Any]) -> bool:
    """Whether one of OpenAI's answers says how much it took."""
    return ((answer.get("usage") or {}).get("total_tokens") or 0) > 0


def iter_events(response: httpx2.Response) -> Iterator[Any]:
    """The JSON of a stream's events."""
    for line in response.text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


READERS = {MESSAGES: read_message, CHAT: read_completion, RESPONSES: read_response}
ENDS = {MESSAGES: {"end_turn", "tool_use"}, CHAT: {"stop", "tool_calls"}, RESPONSES: {"completed"}}


async def send(recording: Recording, http: httpx2.AsyncClient, proxy: Proxy, *, stream: bool) -> Told | str:
    """What came back; in words if it was no answer."""
    body = recording.body | {"stream": stream}
    response = await http.post(proxy.url + recording.path, headers=recording.headers, json=body)
    if response.status_code != httpx2.codes.OK:
        return f"{response.status_code} {response.text}"
    return READERS[recording.endpoint](response, stream=stream)


@pytest.mark.parametrize("client", CLIENTS)
async def test_recorded_requests_are_answered(client: str, proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """To the end, streamed as well as whole, and the upstream finds nothing amiss, not even at first."""
    recordings = [recording for recording in ANSWERED if recording.client == client]
    for recording in recordings:
        whole, streamed = [await send(recording, http, proxy, stream=stream) for stream in (False, True)]
        assert isinstance(whole, Told), (recording.name, whole)
        assert streamed == whole, recording.name
        assert (whole.model, whole.is_counted) == (recording.body["model"], True)
        assert whole.end in ENDS[recording.endpoint]
        assert whole.said
    assert [record.rule for record in proxy.simulator.generations] == [None] * 2 * len(recordings)


async def test_recorded_counts_are_answered(proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """Without the upstream, which cannot count."""
    for recording in COUNTS:
        response = await http.post(proxy.url + recording.path, headers=recording.headers, json=recording.body)
        assert response.status_code == httpx2.codes.OK, (recording.name, response.text)
        assert response.json()["input_tokens"] > 0
    assert COUNTS
    assert proxy.simulator.generations == []


async def test_recorded_threads_are_refused(proxy: Proxy, http: httpx2.AsyncClient) -> None:
    """A request that wants the conversation kept here is told, by code, to send all of it."""
    for recording in THREADS:
        response = await http.post(proxy.url + recording.path, headers=recording.headers, json=recording.body)
        code = response.json()["error"].get("details", {}).get("error_code")
        assert (response.status_code, code) == (400, "thread_unsupported_request")
    assert THREADS


def test_each_recorded_post_is_sent_again() -> None:
    """By one of the tests above, whatever folders there are: of each client at least one request is answered."""
    assert {*ANSWERED, *COUNTS, *THREADS} == {*ALL}
    assert len(ANSWERED) + len(COUNTS) + len(THREADS) == len(ALL)
    assert set(CLIENTS) == {folder.name for folder in RECORDINGS.iterdir() if folder.is_dir()}
