"""Any body is understood or refused in words, and any turn reads the same, streamed and whole."""

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, encode_json
from kiro2api.protocol.kiro.events import UpstreamEvent
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.output import ResponseHead
from kiro2api.protocol.responses.request import build_responses_request, parse_responses_inquiry
from kiro2api.protocol.responses.response import StreamRenderer, render_answer
from kiro2api.protocol.responses.tools import ToolForm, ToolKind
from kiro2api.protocol.turn import AnswerFold, Turn
from tests.support.upstream_events import scripts

WORDS = st.sampled_from(
    [
        *("user", "assistant", "developer", "message", "function_call", "function_call_output", "local_shell"),
        *("custom", "function", "namespace", "reasoning", "item_reference", "additional_tools", "auto", "{}", ""),
        *("input_text", "input_image", "input_file", "data:,", "shell_call", "web_search_call", "allowed_tools"),
    ]
)
KEYS = st.sampled_from(
    [
        *("role", "content", "type", "text", "call_id", "id", "name", "arguments", "output", "action", "tools"),
        *("image_url", "summary", "encrypted_content", "mode", "namespace", "input", "format"),
    ]
)
JUNK: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
ITEM = st.dictionaries(KEYS, WORDS | JUNK, max_size=6)
BODY = st.fixed_dictionaries(
    {"model": st.just("m"), "input": st.lists(ITEM, max_size=4) | JUNK},
    optional={
        "tools": st.lists(ITEM, max_size=3) | JUNK,
        "tool_choice": JUNK,
        "stream": JUNK,
        "metadata": JUNK,
        "reasoning": JUNK,
        "text": JUNK,
        "previous_response_id": JUNK,
    },
)
FORMS = [
    {},
    {"read": ToolForm(kind=ToolKind.FUNCTION, name="read", namespace="n")},
    {"read": ToolForm(kind=ToolKind.CUSTOM, name="read")},
    {"read": ToolForm(kind=ToolKind.LOCAL_SHELL, name="read")},
    {"read": ToolForm(kind=ToolKind.SHELL, name="read")},
    {"read": ToolForm(kind=ToolKind.APPLY_PATCH, name="read")},
]
DELTAS = {
    "response.output_text.delta": "content",
    "response.reasoning_summary_text.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}


def is_understood_or_refused(body: bytes) -> bool:
    """Whether the body is a request, or is refused with a sentence; anything else raises."""
    try:
        inquiry = parse_responses_inquiry(body)
        return bool(build_responses_request(inquiry, before=History(), references={}).conversation.turns)
    except InvalidRequestError as error:
        return bool(error.message)


@given(BODY)
def test_any_json(body: dict[str, JSON]) -> None:
    """Junk in the place of any field is understood or refused, never another error."""
    assert is_understood_or_refused(encode_json(body))


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Any bytes are refused as what they are."""
    assert is_understood_or_refused(body)


def build_head(forms: dict[str, ToolForm]) -> ResponseHead:
    """The head of a response to a request with these tools."""
    return ResponseHead(response_id="resp_1", created_at=0, model="m", settings={}, forms=forms)


def gather(events: list[Any]) -> list[Any]:
    """The items as a client gathers them: opened, filled by deltas, each event by the rules of the grammar."""
    items: list[Any] = []
    for number, event in enumerate(events):
        assert event["sequence_number"] == number
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(items)
            items.append({"id": event["item"]["id"], "type": event["item"]["type"]})
        elif kind in DELTAS:
            assert (event["output_index"], event["item_id"]) == (len(items) - 1, items[-1]["id"])
            items[-1][DELTAS[kind]] = items[-1].get(DELTAS[kind], "") + event["delta"]
    return items


def reduce(item: Any) -> dict[str, Any]:  # noqa: ANN401  any item of the output
    """An item of the output as :func:`gather` makes it."""
    reduced = {"id": item["id"], "type": item["type"]}
    for name in ("content", "summary"):
        if item.get(name):
            reduced[name] = "".join(part["text"] for part in item[name])
    return reduced | {name: item[name] for name in ("arguments", "input") if name in item}


def normalise(output: list[Any]) -> list[Any]:
    """The items, with the values of arguments in the place of their text."""
    return [item | {"arguments": json.loads(item.get("arguments", "null"))} for item in output]


@given(script=scripts(), forms=st.sampled_from(FORMS), sequences=st.lists(st.sampled_from(["a", "ab"]), max_size=1))
def test_stream_reads_as_the_whole_answer(
    script: list[UpstreamEvent], forms: dict[str, ToolForm], sequences: list[str]
) -> None:
    """The deltas join to the items of the last event, and those are the items of the answer that is not streamed."""
    head = build_head(forms)
    turn = Turn(estimated_input=5, context_window=1000, stop_sequences=sequences)
    events = [out for event in script for out in turn.receive_event(event)] + turn.receive_eof()
    stream = StreamRenderer(head=head, sequence=itertools.count()).render(events)
    told = [json.loads(line.removeprefix("data: ")) for line in stream.decode().splitlines() if line[:5] == "data:"]
    last = told[-1]["response"]
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert done == last["output"]
    assert gather(told)[: len(done)] == [reduce(item) for item in done]
    fold = AnswerFold()
    *_, answer = [fold.receive_event(event) for event in events]
    if answer is None:
        assert last["status"] == "failed"
        assert [event["type"] for event in told[-2:]] == ["error", "response.failed"]
        return
    whole = json.loads(render_answer(answer, head=head))
    assert whole | {"output": normalise(whole["output"])} == last | {"output": normalise(last["output"])}
    assert told[-1]["type"] == f"response.{whole['status']}"
