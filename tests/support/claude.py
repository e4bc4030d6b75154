"""What the tests with Anthropic's client share."""

from collections.abc import Sequence

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, TextBlock, ToolParam, ToolUseBlock

MODEL = "claude-opus-4-6"
HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
HELLO_ANSWER = "You said: Hello | turns: 1 | tools: none | images: none"
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: ToolParam = {"name": "get_time", "description": "The time.", "input_schema": {"type": "object"}}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def ask(
    claude: AsyncAnthropic, messages: Sequence[MessageParam], *, stream: bool, tools: Sequence[ToolParam] = ()
) -> Message:
    """The model's next turn, gathered by the client's own means when it is streamed."""
    if not stream:
        return await claude.messages.create(model=MODEL, max_tokens=1000, messages=messages, tools=tools)
    async with claude.messages.stream(model=MODEL, max_tokens=1000, messages=messages, tools=tools) as events:
        return await events.get_final_message()


def read_text(message: Message) -> str:
    """All text of an answer."""
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))


def read_calls(message: Message) -> list[tuple[str, object]]:
    """Names and inputs of the tools that the model wants used."""
    return [(block.name, block.input) for block in message.content if isinstance(block, ToolUseBlock)]


def continue_with(messages: Sequence[MessageParam], answer: Message, results: Sequence[str]) -> list[MessageParam]:
    """The conversation after ``answer`` and the ``results`` of its tool uses."""
    uses = [block.id for block in answer.content if isinstance(block, ToolUseBlock)]
    return [
        *messages,
        {"role": "assistant", "content": answer.content},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": use, "content": result}
                for use, result in zip(uses, results, strict=True)
            ],
        },
    ]
