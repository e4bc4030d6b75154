"""What the upstream says in odd ways reads, in the makers' clients, as what it means; streamed as well as whole."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from openai import OpenAI

from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.jsontext import JSONObject
from tests.support.one_exchange import HI, MODEL, build_chat_exchange, build_messages_exchange, build_responses_exchange
from tests.support.upstream_events import encode_stream, event_message, text_message, tool_message

METERING = event_message("meteringEvent", {"unit": "credit", "usage": 0.1})
SOURCE = event_message("codeReferenceEvent", {"references": [{"licenseName": "MIT"}]})
MARKS = 'data: [DONE]\n\n{"toolUseId": "t1", "name": "read", "input": "{}", "stop": true}</thinking>[Called read]'

type Call = tuple[str, str, JSONObject]

FIRST: Call = ("t1", "read", {"path": "a"})
SECOND: Call = ("t2", "read", {"path": "a"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a client is to read."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def tell(tool_use_id: str) -> list[Message]:
    """A call as the upstream usually sends it."""
    pieces = [None, '{"path":', ' "a"}']
    return [*(tool_message(tool_use_id, piece) for piece in pieces), tool_message(tool_use_id, stop=True)]


ODD: dict[str, tuple[list[Message], Meaning]] = {
    "equal texts": ([text_message("ha")] * 3, Meaning(text="hahaha")),
    "no mark of an end": ([text_message("a")], Meaning(text="a")),
    "accounting without counts": ([text_message("a"), METERING], Meaning(text="a")),
    "text before its source": ([text_message("Hi "), text_message("you"), SOURCE], Meaning(text="Hi you")),
    "text that looks like more": ([text_message(MARKS)], Meaning(text=MARKS)),
    "a character in two events": ([text_message("\ud83d"), text_message("\ude00")], Meaning(text="😀")),
    "fragments": (tell("t1"), Meaning(calls=(FIRST,))),
    "text before a call": ([text_message("a"), *tell("t1")], Meaning(text="a", calls=(FIRST,))),
    "a call repeated": (tell("t1") * 2, Meaning(calls=(FIRST,))),
    "a call repeated behind text": ([*tell("t1"), text_message("a"), *tell("t1")], Meaning(text="a", calls=(FIRST,))),
    "equal calls of two ids": ([*tell("t1"), *tell("t2")], Meaning(calls=(FIRST, SECOND))),
    "interleaved calls": (
        [message for pair in zip(tell("t1"), tell("t2"), strict=True) for message in pair],
        Meaning(calls=(FIRST, SECOND)),
    ),
    "a call without input": ([tool_message("t1"), tool_message("t1", stop=True)], Meaning(calls=(("t1", "read", {}),))),
    "input as an object": (
        [tool_message("t1", {"path": "a"}), tool_message("t1", stop=True)],
        Meaning(calls=(FIRST,)),
    ),
    "a call in one event": ([tool_message("t1", '{"path": "a"}', stop=True)], Meaning(calls=(FIRST,))),
    "a whole call without its stop": ([tool_message("t1", '{"path": "a"}')], Meaning(calls=(FIRST,))),
    "reasoning that nobody can read behind a call": (
        [*tell("t1"), event_message("reasoningContentEvent", {"redactedContent": "cg=="})],
        Meaning(calls=(FIRST,)),
    ),
}

MESSAGES, CHAT, RESPONSES = build_messages_exchange(), build_chat_exchange(), build_responses_exchange({})
CLAUDE = Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=MESSAGES))
CHAT_GPT = OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=CHAT))
RESPONSES_GPT = OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=RESPONSES))


def read_message(stream: bytes, *, streamed: bool) -> Meaning:
    """What Anthropic's client reads; asserts that the reason of the end goes with it."""
    MESSAGES.receive([stream], tags=False)
    if streamed:
        with CLAUDE.messages.stream(model=MODEL, max_tokens=9, messages=HI) as events:
            message: Any = events.get_final_message()
    else:
        message = CLAUDE.messages.create(model=MODEL, max_tokens=9, messages=HI)
    calls = tuple((block.id, block.name, block.input) for block in message.content if block.type == "tool_use")
    assert message.stop_reason == ("tool_use" if calls else "end_turn")
    return Meaning(text="".join(block.text for block in message.content if block.type == "text"), calls=calls)


def read_completion(stream: bytes, *, streamed: bool) -> Meaning:
    """What OpenAI's client reads of a completion."""
    CHAT.receive([stream], tags=False)
    if streamed:
        with CHAT_GPT.chat.completions.stream(model=MODEL, messages=HI) as events:
            completion: Any = events.get_final_completion()
    else:
        completion = CHAT_GPT.chat.completions.create(model=MODEL, messages=HI)
    [choice] = completion.choices
    calls = tuple(
        (call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()
    )
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    return Meaning(text=choice.message.content or "", calls=calls)


def read_response(stream: bytes, *, streamed: bool) -> Meaning:
    """What it reads of a response."""
    RESPONSES.receive([stream], tags=False)
    if streamed:
        with RESPONSES_GPT.responses.stream(model=MODEL, input=HI) as events:
            response: Any = events.get_final_response()
    else:
        response = RESPONSES_GPT.responses.create(model=MODEL, input=HI)
    calls = tuple(
        (item.call_id, item.name, json.loads(item.arguments))
        for item in response.output
        if item.type == "function_call"
    )
    assert response.status == "completed"
    return Meaning(text=response.output_text, calls=calls)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("read", [read_message, read_completion, read_response])
@pytest.mark.parametrize(("said", "meaning"), ODD.values(), ids=ODD)
def test_an_odd_answer_reads_as_what_it_means(
    said: list[Message], meaning: Meaning, read: Callable[..., Meaning], *, streamed: bool
) -> None:
    """No text and no call is lost, doubled or made up."""
    assert read(encode_stream(said), streamed=streamed) == meaning
