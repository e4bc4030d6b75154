"""What the tests with OpenAI's client share."""

from collections.abc import Sequence

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall, ChatCompletionToolParam
from openai.types.chat import ChatCompletionMessageParam as MessageParam

MODEL = "claude-opus-4-6"
HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
HELLO_ANSWER = "You said: Hello | turns: 1 | tools: none | images: none"
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time.",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        "strict": True,
    },
}

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

# OpenAI's client stops reading at [DONE] and leaves its generators, and those under them, to the garbage collector.
left_generators = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


async def ask(
    gpt: AsyncOpenAI, messages: Sequence[MessageParam], *, stream: bool, tools: Sequence[ChatCompletionToolParam] = ()
) -> ChatCompletion:
    """The model's next turn, gathered by the client's own means when it is streamed."""
    if not stream:
        return await gpt.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    async with gpt.chat.completions.stream(
        model=MODEL, messages=messages, tools=tools, stream_options={"include_usage": True}
    ) as events:
        return await events.get_final_completion()


def read_text(completion: ChatCompletion) -> str | None:
    """The text of an answer."""
    [choice] = completion.choices
    return choice.message.content


def read_calls(completion: ChatCompletion) -> list[tuple[str, str]]:
    """Names and arguments of the functions that the model wants called."""
    return [(call.function.name, call.function.arguments) for call in list_calls(completion)]


def list_calls(completion: ChatCompletion) -> list[ChatCompletionMessageFunctionToolCall]:
    """The calls of an answer."""
    [choice] = completion.choices
    calls = choice.message.tool_calls or []
    return [call for call in calls if isinstance(call, ChatCompletionMessageFunctionToolCall)]


def continue_with(
    messages: Sequence[MessageParam], answer: ChatCompletion, results: Sequence[str]
) -> list[MessageParam]:
    """The conversation after ``answer`` and the ``results`` of its calls."""
    calls = list_calls(answer)
    outcomes: list[MessageParam] = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [
        *messages,
        {
            "role": "assistant",
            "content": read_text(answer),
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in calls
            ],
        },
        *outcomes,
    ]
