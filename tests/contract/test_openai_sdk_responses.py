"""OpenAI's own Python client gets responses from the proxy as it gets them from OpenAI."""

import json
from collections.abc import Sequence

from openai import AsyncOpenAI
from openai.types.responses import (
    CustomToolParam,
    FunctionToolParam,
    Response,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseInputItemParam,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ToolParam,
)

from tests.support.gpt import HELLO_ANSWER, MODEL, both_ways
from tests.support.proxy import Proxy

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CLOCK: FunctionToolParam = {
    "type": "function",
    "name": "get_time",
    "description": "The time.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": True,
}
PATCH: CustomToolParam = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Changes files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin" LF /(.+)/\n%import common.LF'},
}


async def ask(
    gpt: AsyncOpenAI,
    said: str | Sequence[ResponseInputItemParam],
    *,
    stream: bool,
    tools: Sequence[ToolParam] = (),
    previous: str | None = None,
) -> Response:
    """The model's next turn, gathered by the client's own means when it is streamed."""
    items: list[ResponseInputItemParam] = [{"role": "user", "content": said}] if isinstance(said, str) else [*said]
    if not stream:
        return await gpt.responses.create(model=MODEL, input=items, tools=tools, previous_response_id=previous)
    async with gpt.responses.stream(model=MODEL, input=items, tools=tools, previous_response_id=previous) as events:
        return await events.get_final_response()


def read_calls(response: Response) -> list[tuple[str, object]]:
    """Names and arguments of the functions that the model wants called."""
    return [
        (item.name, json.loads(item.arguments))
        for item in response.output
        if isinstance(item, ResponseFunctionToolCall)
    ]


def answer_calls(response: Response, results: Sequence[str]) -> list[ResponseInputItemParam]:
    """Results of the functions that the model wants called."""
    calls = [item.call_id for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    return [
        {"type": "function_call_output", "call_id": call_id, "output": result}
        for call_id, result in zip(calls, results, strict=True)
    ]


@both_ways
async def test_response_has_text_usage_and_status(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """The answer is the model's, with the upstream's own token counts, whole as well as streamed."""
    response = await ask(gpt, "Hello", stream=stream)
    assert (response.output_text, response.status, response.model) == (HELLO_ANSWER, "completed", MODEL)
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert (message.role, message.status) == ("assistant", "completed")
    assert response.usage is not None
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (2, 14, 16)
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (0, 0)
    assert response.id.startswith("resp_")


async def test_raw_events_follow_the_grammar(gpt: AsyncOpenAI) -> None:
    """They are numbered from 0, begin and end with the response, and name the one item between."""
    stream = await gpt.responses.create(model=MODEL, input="Hello", stream=True)
    events = [event async for event in stream]
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * len(deltas),
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    assert len(deltas) > 1
    assert "".join(deltas) == HELLO_ANSWER


@both_ways
async def test_tool_loop(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """Two calls in one answer keep their own ids, arguments and results."""
    asked: ResponseInputItemParam = {"role": "user", "content": 'use get_weather {"city": "Oslo"}\nuse get_time {}'}
    call = await ask(gpt, [asked], stream=stream, tools=[WEATHER, CLOCK])
    assert read_calls(call) == [("get_weather", {"city": "Oslo"}), ("get_time", {})]
    assert len({item.id for item in call.output}) == 3
    history = [asked, *(item.to_dict(mode="json") for item in call.output), *answer_calls(call, ["sun", "noon"])]
    final = await ask(gpt, history, stream=stream, tools=[WEATHER, CLOCK])  # type: ignore[arg-type]  # as the SDK's own examples do
    assert read_calls(final) == []
    assert final.output_text.startswith("Tool result: sun | Tool result: noon | ")


@both_ways
async def test_tool_loop_on_a_kept_response(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """The client sends the result and the id of the response, and the model knows what it had asked for."""
    call = await ask(gpt, 'use get_weather {"city": "Oslo"}', stream=stream, tools=[WEATHER])
    final = await ask(gpt, answer_calls(call, ["sun"]), stream=stream, tools=[WEATHER], previous=call.id)
    assert final.output_text.startswith("Tool result: sun | ")
    assert final.previous_response_id == call.id
    again = await ask(gpt, "And now?", stream=stream, tools=[WEATHER], previous=final.id)
    assert again.output_text == "You said: And now? | turns: 5 | tools: get_weather | images: none"


@both_ways
async def test_custom_tool(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is called with free text, and its result is read."""
    asked: ResponseInputItemParam = {"role": "user", "content": 'use apply_patch {"input": "*** Begin\\n+a"}'}
    call = await ask(gpt, [asked], stream=stream, tools=[PATCH])
    [patch] = [item for item in call.output if isinstance(item, ResponseCustomToolCall)]
    assert (patch.name, patch.input) == ("apply_patch", "*** Begin\n+a")
    output: ResponseInputItemParam = {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "done"}
    final = await ask(gpt, [output], stream=stream, tools=[PATCH], previous=call.id)
    assert final.output_text.startswith("Tool result: done | ")


@both_ways
async def test_reasoning_is_kept_apart(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is an item of its own, with what the upstream signed, and comes back without harm."""
    asked: ResponseInputItemParam = {"role": "user", "content": "think first"}
    response = await ask(gpt, [asked], stream=stream)
    reasoning, _ = response.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert [part.text for part in reasoning.summary] == ["Let me think: the question is plain, and so is the answer."]
    assert reasoning.encrypted_content
    assert response.output_text == "You said: think first | turns: 1 | tools: none | images: none"
    history = [asked, *(item.to_dict(mode="json") for item in response.output), {"role": "user", "content": "more"}]
    again = await ask(gpt, history, stream=stream)  # type: ignore[arg-type]  # as the SDK's own examples do
    assert again.output_text == "You said: more | turns: 3 | tools: none | images: none"


@both_ways
async def test_image(gpt: AsyncOpenAI, png: str, *, stream: bool) -> None:
    """An image in a data URL is seen by the model."""
    item: ResponseInputItemParam = {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{png}", "detail": "auto"},
        ],
    }
    response = await ask(gpt, [item], stream=stream)
    assert response.output_text == "You said: What is this? | turns: 1 | tools: none | images: 1 png"


async def test_instructions_reach_the_model(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """They stand before the developer's words, and those before the question."""
    said: list[ResponseInputItemParam] = [
        {"role": "developer", "content": "Rhyme."},
        {"role": "user", "content": "Hello"},
    ]
    await gpt.responses.create(model=MODEL, instructions="Answer in verse.", input=said)
    sent = proxy.simulator.generations[-1].raw.decode()
    assert 0 < sent.index("Answer in verse.") < sent.index("Rhyme.") < sent.index("Hello")
