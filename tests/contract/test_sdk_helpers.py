"""What the makers' Python clients add to their APIs works with the proxy: events of streams, tools that they run."""

import pytest
from anthropic import AsyncAnthropic, beta_async_tool
from anthropic.lib.streaming import ParsedMessageStreamEvent
from openai import AsyncOpenAI, pydantic_function_tool
from pydantic import BaseModel

from tests.support.claude import HELLO_ANSWER, MODEL, WEATHER, both_ways
from tests.support.gpt import left_generators
from tests.support.proxy import Proxy

pytestmark = left_generators

type MessageEvent = ParsedMessageStreamEvent[None]

THOUGHT = "Let me think: the question is plain, and so is the answer."
USE_WEATHER = 'use get_weather {"city": "Oslo"}'


class GetWeather(BaseModel):
    """The weather in a city."""

    city: str


async def _read_events(claude: AsyncAnthropic, content: str) -> list[MessageEvent]:
    messages = [{"role": "user", "content": content}]
    body = {"messages": messages, "thinking": {"type": "adaptive"}}
    async with claude.messages.stream(
        model=MODEL, max_tokens=1000, messages=[], tools=[WEATHER], extra_body=body
    ) as stream:
        return [event async for event in stream]


async def test_anthropic_s_events_of_text_and_thinking(claude: AsyncAnthropic) -> None:
    """Each has a piece and all that came before, and the final text is the text alone."""
    events = await _read_events(claude, "Hello")
    text = [event for event in events if event.type == "text"]
    thinking = [event for event in events if event.type == "thinking"]
    [signature] = [event for event in events if event.type == "signature"]
    assert "".join(event.text for event in text) == text[-1].snapshot
    assert text[-1].snapshot.startswith("You said: Hello | ")
    assert "".join(event.thinking for event in thinking) == thinking[-1].snapshot == THOUGHT
    assert signature.signature
    async with claude.messages.stream(
        model=MODEL, max_tokens=1000, messages=[{"role": "user", "content": "Hello"}]
    ) as stream:
        assert await stream.get_final_text() == HELLO_ANSWER


async def test_anthropic_s_events_of_a_tool_use(claude: AsyncAnthropic) -> None:
    """Its input grows piece by piece, and is whole when its block ends."""
    events = await _read_events(claude, USE_WEATHER)
    pieces = [event for event in events if event.type == "input_json"]
    assert len(pieces) > 1
    assert pieces[-1].snapshot == {"city": "Oslo"}
    blocks = [event.content_block for event in events if event.type == "content_block_stop"]
    assert [block.type for block in blocks] == ["thinking", "text", "tool_use"]
    [use] = [block for block in blocks if block.type == "tool_use"]
    assert (use.name, use.input) == ("get_weather", {"city": "Oslo"})


@both_ways
async def test_anthropic_s_runner_of_several_tools(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """It runs both tools of one turn, tells the model of one that failed, and goes on to the last answer."""

    @beta_async_tool
    async def add_up(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    @beta_async_tool
    async def divide(a: int, b: int) -> str:
        """Divides two numbers."""
        return str(a / b)

    content = 'use add_up {"a": 40, "b": 2}\nuse divide {"a": 1, "b": 0}'
    runner = claude.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1000,
        tools=[add_up, divide],
        messages=[{"role": "user", "content": content}],
        stream=stream,
    )
    message = await runner.until_done()
    [text] = [block.text for block in message.content if block.type == "text"]
    assert text.startswith("Tool result: 42 | Tool result: ZeroDivisionError")
    assert proxy.simulator.generations[-1].raw.count(b'"status":"error"') == 1


async def test_openai_s_events_of_a_call(gpt: AsyncOpenAI) -> None:
    """The arguments grow piece by piece, and are a value of the tool's own class in the end."""
    tool = pydantic_function_tool(GetWeather, name="get_weather")
    async with gpt.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": USE_WEATHER}], tools=[tool]
    ) as stream:
        events = [event async for event in stream]
    pieces = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert len(pieces) > 1
    assert "".join(event.arguments_delta for event in pieces) == pieces[-1].arguments
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert (done.name, done.parsed_arguments) == ("get_weather", GetWeather(city="Oslo"))


async def test_openai_s_parsed_call(gpt: AsyncOpenAI) -> None:
    """A call that is not streamed is such a value as well."""
    tool = pydantic_function_tool(GetWeather, name="get_weather")
    completion = await gpt.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": USE_WEATHER}], tools=[tool]
    )
    [call] = completion.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == GetWeather(city="Oslo")


@pytest.mark.parametrize(
    ("content", "kind"),
    [("Hello", "response.output_text.delta"), (USE_WEATHER, "response.function_call_arguments.delta")],
    ids=["text", "arguments"],
)
async def test_openai_s_events_of_a_response(gpt: AsyncOpenAI, content: str, kind: str) -> None:
    """Each has a piece and all that came before."""
    parameters = {**GetWeather.model_json_schema(), "additionalProperties": False}
    async with gpt.responses.stream(
        model=MODEL,
        input=content,
        tools=[{"type": "function", "name": "get_weather", "parameters": parameters, "strict": True}],
    ) as stream:
        events = [event async for event in stream]
    pieces = [
        event
        for event in events
        if event.type in {"response.output_text.delta", "response.function_call_arguments.delta"} and event.type == kind
    ]
    assert len(pieces) > 1
    assert "".join(event.delta for event in pieces) == pieces[-1].snapshot
