"""Turns as events and as whole responses."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.output import ResponseHead, extend_history, render_deletion, render_token_count
from kiro2api.protocol.responses.response import StreamRenderer, render_answer
from kiro2api.protocol.responses.tools import ToolForm, ToolKind
from kiro2api.protocol.turn import Answer, StopReason, TextDelta, TextStarted, TurnEvent, TurnFailed, TurnStarted
from kiro2api.protocol.usage import Usage
from tests.support.conversations import assistant, user
from tests.unit.protocol.turn.transcripts import ended, redacted, text, thinking, tool

USAGE = Usage(input_tokens=20, output_tokens=17, cache_read_tokens=10, cache_write_tokens=1)
RENDERED_USAGE: JSONObject = {
    "input_tokens": 31,
    "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 1},
    "output_tokens": 17,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 48,
}
STARTED = TurnStarted(usage=USAGE)
END = ended(StopReason.END_TURN, usage=USAGE)
HEAD = ResponseHead(
    response_id="resp_7",
    created_at=5,
    model='m"1',
    settings={"store": False},
    forms={
        "patch": ToolForm(kind=ToolKind.CUSTOM, name="patch"),
        "local_shell": ToolForm(kind=ToolKind.LOCAL_SHELL, name="local_shell"),
        "shell": ToolForm(kind=ToolKind.SHELL, name="shell"),
        "apply_patch": ToolForm(kind=ToolKind.APPLY_PATCH, name="apply_patch"),
        "n__read": ToolForm(kind=ToolKind.FUNCTION, name="read", namespace="n"),
    },
)
SAID = Text(text="yes")


def render(events: Sequence[TurnEvent], *, start: int = 0) -> bytes:
    """The bytes of all ``events``."""
    return StreamRenderer(head=HEAD, sequence=itertools.count(start)).render(events)


def read(stream: bytes) -> list[Any]:
    """The events, whose names are their types and whose numbers are in order, without either."""
    events = []
    for number, event in enumerate(stream.removesuffix(b"\n\n").split(b"\n\n")):
        name, data = event.split(b"\n")
        value = json.loads(data.removeprefix(b"data: "))
        assert name.removeprefix(b"event: ").decode() == value["type"]
        assert value.pop("sequence_number") == number
        value["type"] = value["type"].removeprefix("response.")
        events.append(value)
    return events


def read_items(*events: TurnEvent) -> list[Any]:
    """What is said between the head and the end; the end has the same items as were done before it."""
    created, in_progress, *inner, end = read(render([STARTED, *events, END]))
    assert [created["type"], in_progress["type"], end["type"]] == ["created", "in_progress", "completed"]
    assert end["response"]["output"] == [event["item"] for event in inner if event["type"] == "output_item.done"]
    return inner


def response(status: str, output: Sequence[JSON] = (), **fields: JSON) -> JSONObject:
    """A response object."""
    return {
        "id": "resp_7",
        "object": "response",
        "created_at": 5,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": 'm"1',
        "output": [*output],
        "store": False,
        "usage": None,
        **fields,
    }


def message(words: str) -> JSONObject:
    """A whole message."""
    part: JSON = {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_7_0", "status": "completed", "role": "assistant", "content": [part]}


def in_item(kind: str, item_id: str, **fields: JSON) -> JSONObject:
    """An event inside the first item."""
    return {"type": kind, "item_id": item_id, "output_index": 0, **fields}


def test_head_and_end() -> None:
    """A stream begins with the response, twice, and ends with it, usage included."""
    created, in_progress, completed = read(render([STARTED, END]))
    assert created == {"type": "created", "response": response("in_progress")}
    assert in_progress == {"type": "in_progress", "response": response("in_progress")}
    assert completed == {"type": "completed", "response": response("completed", usage=RENDERED_USAGE)}


def test_text() -> None:
    """A text block is a message with one part, and its deltas go out as they come."""
    inner = read_items(*text(0, 'a"\n', "漢"))
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    opening = message("") | {"status": "in_progress", "content": []}
    place: dict[str, JSON] = {"item_id": "msg_7_0", "output_index": 0, "content_index": 0}
    assert inner == [
        {"type": "output_item.added", "output_index": 0, "item": opening},
        {"type": "content_part.added", **place, "part": empty},
        {"type": "output_text.delta", **place, "delta": 'a"\n', "logprobs": []},
        {"type": "output_text.delta", **place, "delta": "漢", "logprobs": []},
        {"type": "output_text.done", **place, "text": 'a"\n漢', "logprobs": []},
        {"type": "content_part.done", **place, "part": {**empty, "text": 'a"\n漢'}},
        {"type": "output_item.done", "output_index": 0, "item": message('a"\n漢')},
    ]


def test_delta_is_one_line() -> None:
    """Byte for byte, as clients cut the stream at line ends."""
    renderer = StreamRenderer(head=HEAD, sequence=itertools.count(8))
    renderer.render([TextStarted(index=0)])
    assert renderer.render([TextDelta(index=0, text="a\n\u2028")]) == (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","sequence_number":10,"item_id":"msg_7_0","output_index":0,'
        b'"content_index":0,"delta":"a\\n\\u2028","logprobs":[]}\n\n'
    )


def test_thinking() -> None:
    """It is a reasoning item, whose summary is what the client may read; the signature comes at its end."""
    inner = read_items(*thinking(0, "a", "b", signature="s"))
    item: JSONObject = {"type": "reasoning", "id": "rs_7_0", "summary": []}
    part: JSONObject = {"type": "summary_text", "text": "ab"}
    whole = item | {"summary": [part], "encrypted_content": "kiro.signature.s"}
    assert inner == [
        {"type": "output_item.added", "output_index": 0, "item": item},
        in_item("reasoning_summary_part.added", "rs_7_0", summary_index=0, part={**part, "text": ""}),
        in_item("reasoning_summary_text.delta", "rs_7_0", summary_index=0, delta="a"),
        in_item("reasoning_summary_text.delta", "rs_7_0", summary_index=0, delta="b"),
        in_item("reasoning_summary_text.done", "rs_7_0", summary_index=0, text="ab"),
        in_item("reasoning_summary_part.done", "rs_7_0", summary_index=0, part=part),
        {"type": "output_item.done", "output_index": 0, "item": whole},
    ]


@pytest.mark.parametrize(
    ("events", "opening", "encrypted"),
    [
        (thinking(0, signature="s"), {}, "kiro.signature.s"),
        (redacted(0, "d"), {"encrypted_content": "kiro.redacted.d"}, "kiro.redacted.d"),
    ],
)
def test_thinking_without_words(events: list[TurnEvent], opening: JSONObject, encrypted: str) -> None:
    """It has an item without a part."""
    item: JSONObject = {"type": "reasoning", "id": "rs_7_0", "summary": []}
    assert read_items(*events) == [
        {"type": "output_item.added", "output_index": 0, "item": item | opening},
        {"type": "output_item.done", "output_index": 0, "item": item | {"encrypted_content": encrypted}},
    ]


@pytest.mark.parametrize(
    ("name", "named"), [("read", {"name": "read"}), ("n__read", {"name": "read", "namespace": "n"})]
)
@pytest.mark.parametrize(
    ("pieces", "deltas", "arguments"), [(['{"a": ', "1}"], ['{"a": ', "1}"], '{"a": 1}'), ([], ["{}"], "{}")]
)
def test_function_call(name: str, named: JSONObject, pieces: list[str], deltas: list[str], arguments: str) -> None:
    """The arguments go out as they come, and there always are some; a namespace stands beside the name."""
    call: JSONObject = {"type": "function_call", "id": "fc_7_0", "status": "completed", "call_id": "t", **named}
    assert read_items(*tool(0, "t", *pieces, name=name)) == [
        {
            "type": "output_item.added",
            "output_index": 0,
            "item": {**call, "status": "in_progress", "arguments": ""},
        },
        *(in_item("function_call_arguments.delta", "fc_7_0", delta=delta) for delta in deltas),
        in_item("function_call_arguments.done", "fc_7_0", name="read", arguments=arguments),
        {"type": "output_item.done", "output_index": 0, "item": {**call, "arguments": arguments}},
    ]


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        (['{"inp', 'ut":"a\\n"}'], "a\n"),
        (['{"patch":"a"}'], "a"),
        (['{"input":1}'], '{"input":1}'),
        (['{"a":"b","c":"d"}'], '{"a":"b","c":"d"}'),
        ([], ""),
    ],
)
def test_custom_tool_call(pieces: list[str], given: str) -> None:
    """The free text is what stands in the one property, or what comes nearest to it."""
    call: JSONObject = {"type": "custom_tool_call", "id": "ctc_7_0", "call_id": "t", "name": "patch"}
    assert read_items(*tool(0, "t", *pieces, name="patch")) == [
        {"type": "output_item.added", "output_index": 0, "item": {**call, "status": "in_progress", "input": ""}},
        in_item("custom_tool_call_input.delta", "ctc_7_0", delta=given),
        in_item("custom_tool_call_input.done", "ctc_7_0", input=given),
        {"type": "output_item.done", "output_index": 0, "item": {**call, "status": "completed", "input": given}},
    ]


@pytest.mark.parametrize(
    ("piece", "action"),
    [
        ("{}", {}),
        (
            '{"command":["ls",1],"env":{"A":"b","C":2},"timeout_ms":5,"working_directory":"/"}',
            {"command": ["ls", "1"], "env": {"A": "b", "C": "2"}, "timeout_ms": 5, "working_directory": "/"},
        ),
        ('{"command":"ls | wc","timeout_ms":"5","working_directory":1}', {"command": ["bash", "-lc", "ls | wc"]}),
    ],
)
def test_local_shell_call(piece: str, action: JSONObject) -> None:
    """The command has the form of OpenAI's shell, whatever the model gave."""
    nothing: JSONObject = {
        "type": "exec",
        "command": [],
        "env": {},
        "timeout_ms": None,
        "working_directory": None,
        "user": None,
    }
    call: JSONObject = {"type": "local_shell_call", "id": "lsh_7_0", "call_id": "t"}
    assert read_items(*tool(0, "t", piece, name="local_shell")) == [
        {"type": "output_item.added", "output_index": 0, "item": {**call, "status": "in_progress", "action": nothing}},
        {
            "type": "output_item.done",
            "output_index": 0,
            "item": {**call, "status": "completed", "action": nothing | action},
        },
    ]


@pytest.mark.parametrize(
    ("piece", "commands", "limits"),
    [
        ("", [], {}),
        ('{"commands":["ls",1],"timeout_ms":5,"max_output_length":9}', ["ls", "1"], {"timeout_ms": 5}),
        ('{"commands":"ls","timeout_ms":true}', ["ls"], {"timeout_ms": None}),
    ],
)
def test_shell_call(piece: str, commands: list[JSON], limits: JSONObject) -> None:
    """Each command is told by itself; the limits are numbers or nothing."""
    added, *told, done = read_items(*tool(0, "t", piece, name="shell"))
    nothing: JSONObject = {"commands": [], "timeout_ms": None, "max_output_length": None}
    head: JSONObject = {"type": "shell_call", "id": "sh_7_0", "call_id": "t", "environment": None}
    action = nothing | limits | {"commands": commands} | ({"max_output_length": 9} if limits.get("timeout_ms") else {})
    assert added["item"] == head | {"status": "in_progress", "action": nothing}
    assert done["item"] == head | {"status": "completed", "action": action}
    assert told == [
        {"type": f"shell_call_command.{kind}", "output_index": 0, "command_index": index, field: text}
        for index, command in enumerate(commands)
        for kind, field, text in (("added", "command", ""), ("delta", "delta", command), ("done", "command", command))
    ]


@pytest.mark.parametrize(
    ("piece", "operation"),
    [
        ('{"type":"create_file","path":"a","diff":"+b"}', {"type": "create_file", "path": "a", "diff": "+b"}),
        ('{"type":"delete_file","path":"a","diff":"+b"}', {"type": "delete_file", "path": "a"}),
        ('{"type":"rename","path":["a"],"diff":null}', {"type": "update_file", "path": '["a"]', "diff": ""}),
        ("", {"type": "update_file", "path": "", "diff": ""}),
    ],
)
def test_apply_patch_call(piece: str, operation: JSONObject) -> None:
    """It is told when it is whole, in the form of OpenAI's tool, whatever the model gave."""
    call: JSONObject = {"type": "apply_patch_call", "id": "apc_7_0", "call_id": "t", "operation": operation}
    assert read_items(*tool(0, "t", piece, name="apply_patch")) == [
        {"type": "output_item.added", "output_index": 0, "item": {**call, "status": "in_progress"}},
        {"type": "output_item.done", "output_index": 0, "item": {**call, "status": "completed"}},
    ]


def test_several_items() -> None:
    """Each has its own place and id."""
    inner = read_items(*thinking(0, "a"), *text(1, "b"), *tool(2, "t"), *tool(3, "u", name="patch"))
    done = [(event["output_index"], event["item"]["id"]) for event in inner if event["type"] == "output_item.done"]
    assert done == [(0, "rs_7_0"), (1, "msg_7_1"), (2, "fc_7_2"), (3, "ctc_7_3")]
    assert {event["output_index"] for event in inner} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("reason", "incomplete"),
    [
        (StopReason.END_TURN, None),
        (StopReason.STOP_SEQUENCE, None),
        (StopReason.PAUSE_TURN, None),
        (StopReason.TOOL_USE, None),
        (StopReason.MAX_TOKENS, "max_output_tokens"),
        (StopReason.CONTEXT_WINDOW, "max_output_tokens"),
        (StopReason.REFUSAL, "content_filter"),
    ],
)
def test_status(reason: StopReason, incomplete: str | None) -> None:
    """It follows from the stop reason, in the last event and in the whole response."""
    status = "completed" if incomplete is None else "incomplete"
    details: JSON = None if incomplete is None else {"reason": incomplete}
    expected = response(status, usage=RENDERED_USAGE, incomplete_details=details)
    *_, last = read(render([STARTED, ended(reason, usage=USAGE)]))
    answer = Answer(blocks=(), stop_reason=reason, stop_sequence=None, usage=USAGE)
    assert last == {"type": status, "response": expected}
    assert json.loads(render_answer(answer, head=HEAD)) == expected


def test_failure() -> None:
    """It is told twice, as some clients know the one event and some the other; what was whole is in it."""
    error = Kiro2ApiError("Slow down.", retry_after=1)
    error.kind = ErrorKind.RATE_LIMITED
    text_of_it = "Slow down. Please try again in 1s."
    events = [STARTED, *text(0, "a"), *text(1, "b", whole=False), TurnFailed(error=error)]
    *_, told, failed = read(render(events))
    code = "rate_limit_exceeded"
    assert told == {"type": "error", "code": code, "message": text_of_it, "param": None}
    expected = response("failed", [message("a")], error={"code": code, "message": text_of_it})
    assert failed == {"type": "failed", "response": expected}


def test_attempts_share_their_numbers() -> None:
    """The head may have come from an earlier attempt."""
    sequence = itertools.count()
    head = StreamRenderer(head=HEAD, sequence=sequence).render([STARTED])
    rest = StreamRenderer(head=HEAD, sequence=sequence).render([*text(0, "a"), END])
    assert head + rest == render([STARTED, *text(0, "a"), END])


def test_ping_is_a_comment() -> None:
    """Clients skip it."""
    assert StreamRenderer.ping == b": keep-alive\n\n"


BLOCKS: tuple[AssistantBlock, ...] = (
    Thinking(text="a"),
    RedactedThinking(data="d"),
    SAID,
    ToolUse(tool_use_id="t", name="read", input={"a": 1}),
)


def test_whole_answer() -> None:
    """It has the items that a stream has."""
    answer = Answer(
        blocks=BLOCKS, stop_reason=StopReason.END_TURN, stop_sequence=None, usage=Usage(input_tokens=1, output_tokens=2)
    )
    whole = json.loads(render_answer(answer, head=HEAD))
    events = [*thinking(0, "a"), *redacted(1, "d"), *text(2, "yes"), *tool(3, "t", '{"a":1}')]
    *_, last = read(render([*events, END]))
    assert whole["output"] == last["response"]["output"]
    assert whole["usage"]["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}


def test_history() -> None:
    """The answer is its latest turn, and its items are known by the ids that the client has; silence is no turn."""
    before = History(system=("s",), turns=(user("hi"),))
    answer = Answer(blocks=BLOCKS, stop_reason=StopReason.END_TURN, stop_sequence=None, usage=USAGE)
    silence = Answer(blocks=(), stop_reason=StopReason.END_TURN, stop_sequence=None, usage=USAGE)
    items = dict(zip(["rs_7_0", "rs_7_1", "msg_7_2", "fc_7_3"], BLOCKS, strict=True))
    expected = History(system=("s",), turns=(user("hi"), assistant(*BLOCKS)), items=items)
    assert extend_history(before, answer, HEAD) == expected
    assert extend_history(before, silence, HEAD) == before


def test_other_bodies() -> None:
    """A count, and what is said of a response that was deleted."""
    assert json.loads(render_token_count(5)) == {"object": "response.input_tokens", "input_tokens": 5}
    assert json.loads(render_deletion("resp_7")) == {"id": "resp_7", "object": "response", "deleted": True}
