"""Whatever the upstream answers, the makers' clients read the same from the stream as from the whole answer.

The clients are the makers' own, with all that they do to a stream; only sockets are left out.
"""

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2
from anthropic import Anthropic, APIStatusError
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, OpenAI
from openai.types.responses import Response

from kiro2api.protocol.kiro.events import AssistantText, Metadata, Reasoning, UpstreamEvent
from kiro2api.protocol.responses.tools import ToolForm, ToolKind
from kiro2api.protocol.usage import WireUsage
from tests.support.one_exchange import HI, MODEL, build_chat_exchange, build_messages_exchange, build_responses_exchange
from tests.support.upstream_events import accounting, build_message, encode_stream, scripts, texts, whole_tool_uses

TAGGED = ["<thinking>", "</thinking>\n\n", "\n<thinking>\na", "`</thinking>`", "</thinking>", "\n\n"]
FORMS: dict[str, dict[str, ToolForm]] = {
    "functions": {},
    "free text": {"read": ToolForm(kind=ToolKind.CUSTOM, name="read")},
    "shell": {"read": ToolForm(kind=ToolKind.LOCAL_SHELL, name="read")},
    "family": {"read": ToolForm(kind=ToolKind.FUNCTION, name="read", namespace="n")},
}
COUNTED = st.builds(
    Metadata,
    usage=st.builds(
        WireUsage,
        uncached_input_tokens=st.integers(0, 900),
        cache_read_input_tokens=st.integers(1, 900),
        cache_write_input_tokens=st.none() | st.integers(1, 900),
        output_tokens=st.integers(0, 900),
    ),
    stop_reason=st.just("END_TURN"),
)
FAILED = "failed"
NO_JSON = "Unable to parse tool parameter JSON"
"""Anthropic's client says so of a tool's input."""


def sane_scripts() -> st.SearchStrategy[list[UpstreamEvent]]:
    """Answers with nothing wrong in them, most of which do not fail."""
    said = (
        st.builds(AssistantText, text=texts())
        | st.builds(Reasoning, text=texts())
        | st.builds(Reasoning, signature=st.just("c2ln"))
    )
    parts = st.lists(said, max_size=3) | whole_tool_uses()
    ends = st.lists(accounting() | COUNTED, max_size=3)
    return st.tuples(st.lists(parts, max_size=5), ends).map(lambda told: [*itertools.chain(*told[0]), *told[1]])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What the upstream sends: any script, with tags between its texts, and at times cut short."""
    events = [*draw(st.one_of(sane_scripts(), sane_scripts(), scripts()))]
    for tag in draw(st.lists(st.sampled_from(TAGGED), max_size=3)):
        events.insert(draw(st.integers(0, len(events))), AssistantText(text=tag))
    stream = encode_stream(map(build_message, events))
    return stream[: draw(st.integers(0, len(stream)))] if draw(st.sampled_from([False] * 7 + [True])) else stream


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """``stream`` in pieces, which end at ``places`` as far as it has these."""
    ends = sorted({min(place, len(stream)) for place in places} | {0, len(stream)})
    return [stream[begin:end] for begin, end in itertools.pairwise(ends)]


CUTS = st.lists(st.integers(0, 2000), max_size=8)

MESSAGES, CHAT = build_messages_exchange(), build_chat_exchange()
RESPONSES = {name: build_responses_exchange(forms) for name, forms in FORMS.items()}
CLAUDE = Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=MESSAGES))
GPT = OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=CHAT))
GPTS = {
    name: OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=exchange))
    for name, exchange in RESPONSES.items()
}


def read_message(*, stream: bool) -> object:
    """Anthropic's client's view of the answer: all of it."""
    try:
        if not stream:
            return CLAUDE.messages.create(model=MODEL, max_tokens=9, messages=HI).model_dump()
        with CLAUDE.messages.stream(model=MODEL, max_tokens=9, messages=HI) as events:
            return Message.model_validate(events.get_final_message().to_dict()).model_dump()
    except APIStatusError:
        return FAILED
    except ValueError as error:
        # The client looks into arguments that are no JSON before it hears that they are not to be used.
        return FAILED if stream and NO_JSON in str(error) else error


def read_completion(*, stream: bool) -> object:
    """OpenAI's client's view of the answer: text, reasoning, calls, how it ended and what it took."""
    try:
        if not stream:
            completion: Any = GPT.chat.completions.create(model=MODEL, messages=HI)
        else:
            usage: Any = {"include_usage": True}
            with GPT.chat.completions.stream(model=MODEL, messages=HI, stream_options=usage) as events:
                deque(events, maxlen=0)
                completion = events.current_completion_snapshot
    except APIError:
        return FAILED
    [choice] = completion.choices
    message = choice.message
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    # A stream has begun with empty text before anybody knows whether there will be any.
    told = [message.content or "", getattr(message, "reasoning_content", None), message.refusal]
    return [*told, calls, choice.finish_reason, completion.usage.to_dict()]


def read_response(gpt: OpenAI, *, stream: bool) -> object:
    """OpenAI's client's view of a response: all of it, calls by the values of their arguments."""
    try:
        if not stream:
            return normalise(gpt.responses.create(model=MODEL, input=HI))
        with gpt.responses.stream(model=MODEL, input=HI) as events:
            told = list(events)
    except APIError:
        return FAILED
    last = told[-1]
    if last.type == "response.failed":
        assert told[-2].type == "error"
        return FAILED
    assert last.type in {"response.completed", "response.incomplete"}
    assert gather(told) == dict(list_texts(last.response))
    return normalise(last.response)


def gather(told: Iterable[Any]) -> dict[tuple[int, str], str]:
    """What the client had of each text at the end of its deltas, by its own account where it keeps one."""
    texts: dict[tuple[int, str], str] = {}
    for event in told:
        key = (getattr(event, "output_index", -1), event.type)
        if event.type in {"response.output_text.delta", "response.function_call_arguments.delta"}:
            texts[key] = event.snapshot
        elif event.type.endswith(".delta"):
            texts[key] = texts.get(key, "") + event.delta
    return {key: text for key, text in texts.items() if text}


def list_texts(response: Response) -> Iterator[tuple[tuple[int, str], str]]:
    """The texts of a whole response that are not empty, by the events that bring them in a stream."""
    for index, item in enumerate(response.output):
        match item.type:
            case "message":
                parts = [part.text for part in item.content if part.type == "output_text"]
                text, event = "".join(parts), "output_text"
            case "reasoning":
                text, event = "".join(part.text for part in item.summary), "reasoning_summary_text"
            case "function_call":
                text, event = item.arguments, "function_call_arguments"
            case "custom_tool_call":
                text, event = item.input, "custom_tool_call_input"
            case _:
                text, event = "", ""
        if text:
            yield (index, f"response.{event}.delta"), text


def normalise(response: Any) -> object:  # noqa: ANN401 - the client's own type, and its parsed variant
    """The response as plain values, without what the client adds to a stream."""
    plain = response.to_dict()
    for item in plain["output"]:
        item.pop("parsed_arguments", None)
        if item["type"] == "function_call":
            item["arguments"] = json.loads(item["arguments"])
        for part in item.get("content") or ():
            part.pop("parsed", None)
    return plain


@given(stream=answers(), places=CUTS, tags=st.booleans())
def test_a_message_reads_the_same(stream: bytes, places: list[int], *, tags: bool) -> None:
    """Text, thinking and its signatures, tool uses, stop reason, usage; or both fail."""
    MESSAGES.receive(cut(stream, places), tags=tags)
    assert read_message(stream=True) == read_message(stream=False)


@given(stream=answers(), places=CUTS, tags=st.booleans())
def test_a_completion_reads_the_same(stream: bytes, places: list[int], *, tags: bool) -> None:
    """Text, reasoning, tool calls, reason of the finish, usage; or both fail."""
    CHAT.receive(cut(stream, places), tags=tags)
    assert read_completion(stream=True) == read_completion(stream=False)


@given(forms=st.sampled_from(list(FORMS)), stream=answers(), places=CUTS, tags=st.booleans())
def test_a_response_reads_the_same(forms: str, stream: bytes, places: list[int], *, tags: bool) -> None:
    """Each item with all of its fields, status and its details, usage; or both fail."""
    RESPONSES[forms].receive(cut(stream, places), tags=tags)
    assert read_response(GPTS[forms], stream=True) == read_response(GPTS[forms], stream=False)
