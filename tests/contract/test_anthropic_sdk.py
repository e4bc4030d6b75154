"""Anthropic's own Python client gets from the proxy what it gets from Anthropic."""

import json
from collections import Counter

import httpx2
import pytest
from anthropic import AsyncAnthropic, NotFoundError, Omit, beta_async_tool
from anthropic.types import Message, MessageParam, ToolChoiceParam, ToolUseBlock

from tests.support.claude import (
    CLOCK,
    HELLO,
    HELLO_ANSWER,
    MODEL,
    WEATHER,
    ask,
    both_ways,
    continue_with,
    read_calls,
    read_text,
)
from tests.support.proxy import CLIENT_KEY, Proxy


@both_ways
async def test_message_has_text_usage_and_stop_reason(claude: AsyncAnthropic, *, stream: bool) -> None:
    """The answer is the model's, with the upstream's own token counts, whole as well as streamed."""
    message = await ask(claude, HELLO, stream=stream)
    assert (message.role, message.model, message.stop_reason, message.stop_sequence) == (
        "assistant",
        MODEL,
        "end_turn",
        None,
    )
    assert [block.type for block in message.content] == ["text"]
    assert read_text(message) == HELLO_ANSWER
    assert (message.usage.input_tokens, message.usage.output_tokens) == (2, 14)
    assert message.id.startswith("msg_")


async def test_raw_stream_follows_the_grammar(claude: AsyncAnthropic) -> None:
    """One start, one block whose deltas are the text, one message_delta with the totals, one stop."""
    stream = await claude.messages.create(model=MODEL, max_tokens=1000, messages=HELLO, stream=True)
    events = [event async for event in stream]
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    counts = Counter(event.type for event in events)
    assert {counts[kind] for kind in kinds if kind != "content_block_delta"} == {1}
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert len(deltas) > 1
    assert "".join(delta.text for delta in deltas if delta.type == "text_delta") == HELLO_ANSWER
    [end] = [event for event in events if event.type == "message_delta"]
    assert (end.delta.stop_reason, end.usage.output_tokens) == ("end_turn", 14)


async def test_stream_helper_gives_text_as_it_comes(claude: AsyncAnthropic) -> None:
    """``text_stream`` yields the answer in pieces."""
    async with claude.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
        pieces = [piece async for piece in stream.text_stream]
    assert len(pieces) > 1
    assert "".join(pieces) == HELLO_ANSWER


@both_ways
async def test_tool_loop(claude: AsyncAnthropic, *, stream: bool) -> None:
    """The model asks for a tool, gets its result under the same id, and answers with it."""
    messages: list[MessageParam] = [{"role": "user", "content": 'use get_weather {"city": "Bergen \\u2602"}'}]
    call = await ask(claude, messages, stream=stream, tools=[WEATHER])
    assert (call.stop_reason, read_calls(call)) == ("tool_use", [("get_weather", {"city": "Bergen \u2602"})])
    messages = continue_with(messages, call, ["rain, 8 °C"])
    final = await ask(claude, messages, stream=stream, tools=[WEATHER])
    assert (final.stop_reason, read_calls(final)) == ("end_turn", [])
    assert read_text(final).startswith("Tool result: rain, 8 °C | ")


@both_ways
async def test_parallel_tool_uses(claude: AsyncAnthropic, *, stream: bool) -> None:
    """Two uses in one answer keep their own ids, inputs and results."""
    messages: list[MessageParam] = [{"role": "user", "content": 'use get_weather {"city": "Oslo"}\nuse get_time {}'}]
    call = await ask(claude, messages, stream=stream, tools=[WEATHER, CLOCK])
    assert read_calls(call) == [("get_weather", {"city": "Oslo"}), ("get_time", {})]
    assert len({block.id for block in call.content if isinstance(block, ToolUseBlock)}) == 2
    messages = continue_with(messages, call, ["sun", "noon"])
    final = await ask(claude, messages, stream=stream, tools=[WEATHER, CLOCK])
    assert read_text(final).startswith("Tool result: sun | Tool result: noon | ")


async def test_failed_tool_is_told_as_such(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """``is_error`` reaches the upstream as the status of the result."""
    messages: list[MessageParam] = [{"role": "user", "content": "use get_time {}"}]
    call = await ask(claude, messages, stream=False, tools=[CLOCK])
    [use] = [block.id for block in call.content if isinstance(block, ToolUseBlock)]
    messages += [
        {"role": "assistant", "content": call.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use, "content": "no clock", "is_error": True}],
        },
    ]
    await ask(claude, messages, stream=False, tools=[CLOCK])
    sent = json.loads(proxy.simulator.generations[-1].raw)["conversationState"]["currentMessage"]["userInputMessage"]
    assert sent["userInputMessageContext"]["toolResults"] == [
        {"toolUseId": use, "status": "error", "content": [{"text": "no clock"}]}
    ]


@both_ways
async def test_image(claude: AsyncAnthropic, png: str, *, stream: bool) -> None:
    """An image in the message is seen by the model."""
    message = await ask(
        claude,
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ],
        stream=stream,
    )
    assert read_text(message) == "You said: What is this? | turns: 1 | tools: none | images: 1 png"


@both_ways
async def test_thinking_comes_first_and_may_be_sent_back(claude: AsyncAnthropic, *, stream: bool) -> None:
    """A thinking block with its signature stands before the text, and is taken back in the next turn."""
    messages: list[MessageParam] = [{"role": "user", "content": "think first, then speak"}]
    message = await ask(claude, messages, stream=stream)
    thinking, text = message.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.type == "thinking"
    assert thinking.thinking == "Let me think: the question is plain, and so is the answer."
    assert thinking.signature
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": "Go on"}]
    final = await ask(claude, messages, stream=stream)
    assert read_text(final).startswith("You said: Go on | ")


@pytest.mark.parametrize(
    "system",
    ["Answer in verse.", [{"type": "text", "text": "Answer in verse.", "cache_control": {"type": "ephemeral"}}]],
    ids=["text", "blocks"],
)
async def test_system_prompt_reaches_the_model(
    claude: AsyncAnthropic, proxy: Proxy, system: str | list[dict[str, object]]
) -> None:
    """It stands before the question, in whichever form it comes."""
    await claude.messages.create(model=MODEL, max_tokens=1000, messages=HELLO, extra_body={"system": system})
    sent = proxy.simulator.generations[-1].raw.decode()
    assert 0 < sent.index("Answer in verse.") < sent.index("Hello")
    assert "cache_control" not in sent


@pytest.mark.parametrize(
    ("choice", "content", "used"),
    [
        ({"type": "auto"}, "Hello", []),
        ({"type": "auto"}, "use get_time {}", ["get_time"]),
        ({"type": "any"}, "Hello", ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, "Hello", ["get_time"]),
        ({"type": "none"}, "use get_time {}", []),
    ],
    ids=["auto", "auto, asked", "any", "tool", "none"],
)
async def test_tool_choice(claude: AsyncAnthropic, choice: ToolChoiceParam, content: str, used: list[str]) -> None:
    """The four kinds of choice decide which tools the model uses."""
    message = await claude.messages.create(
        model=MODEL,
        max_tokens=1000,
        messages=[{"role": "user", "content": content}],
        tools=[WEATHER, CLOCK],
        tool_choice=choice,
    )
    assert [name for name, _ in read_calls(message)] == used
    assert message.stop_reason == ("tool_use" if used else "end_turn")


@both_ways
async def test_stop_sequence_ends_the_answer(claude: AsyncAnthropic, *, stream: bool) -> None:
    """The text ends before it, and the answer names it."""
    if stream:
        async with claude.messages.stream(
            model=MODEL, max_tokens=1000, messages=HELLO, stop_sequences=["turns", "nothing"]
        ) as events:
            message: Message = await events.get_final_message()
    else:
        message = await claude.messages.create(
            model=MODEL, max_tokens=1000, messages=HELLO, stop_sequences=["turns", "nothing"]
        )
    assert read_text(message) == "You said: Hello | "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "turns")


async def test_count_tokens_grows_with_what_is_said(claude: AsyncAnthropic, png: str) -> None:
    """Words, system prompt, tools and images all count."""
    picture: MessageParam = {
        "role": "user",
        "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}}],
    }
    bare = await claude.messages.count_tokens(model=MODEL, messages=HELLO)
    longer = [
        await claude.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "Hello " * 50}]),
        await claude.messages.count_tokens(model=MODEL, messages=HELLO, system="Answer in verse, please."),
        await claude.messages.count_tokens(model=MODEL, messages=HELLO, tools=[WEATHER]),
        await claude.messages.count_tokens(model=MODEL, messages=[*HELLO, picture]),
    ]
    assert 0 < bare.input_tokens < min(count.input_tokens for count in longer)


async def test_count_tokens_of_unknown_model(claude: AsyncAnthropic) -> None:
    """It is not found there either."""
    with pytest.raises(NotFoundError):
        await claude.messages.count_tokens(model="no-such-model", messages=HELLO)


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_models_in_pages(claude: AsyncAnthropic, proxy: Proxy, sent: list[httpx2.Request], header: str) -> None:
    """All models come once each, however small the pages, with either header for the key."""
    headers: dict[str, str | Omit] = {"x-api-key": CLIENT_KEY, "authorization": Omit()}
    models = claude.models.list(limit=2, extra_headers=headers if header == "x-api-key" else None)
    listed = [model.id async for model in models]
    assert listed == [model.model_id for model in proxy.service.catalog.models]
    assert {frozenset(request.headers) & {"authorization", "x-api-key"} for request in sent} == {frozenset({header})}


async def test_model_by_name(claude: AsyncAnthropic) -> None:
    """A model of the list can be asked for; others are not found."""
    model = await claude.models.retrieve(MODEL)
    assert (model.id, model.type, model.display_name) == (MODEL, "model", "Claude Opus 4.6")
    with pytest.raises(NotFoundError, match="no-such-model"):
        await claude.models.retrieve("no-such-model")


async def test_request_ids(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """The client sees the id under which the request stands in the log, on whole and streamed answers and errors."""
    raw = await claude.messages.with_raw_response.create(model=MODEL, max_tokens=1000, messages=HELLO)
    parsed = await raw.parse()
    async with claude.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
        streamed = stream.request_id
        await stream.until_done()
    with pytest.raises(NotFoundError) as caught:
        await claude.messages.create(model="no-such-model", max_tokens=1000, messages=HELLO)
    logged = [fields["request_id"] for fields in await proxy.log.wait("exchange", 3)]
    assert logged == [raw.request_id, streamed, caught.value.request_id]
    assert raw.request_id == parsed._request_id
    assert len(set(logged)) == 3


@both_ways
async def test_tool_runner_goes_on_without_threads(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """The runner wants the server to keep the conversation; told that it does not, it sends all of it each time."""

    @beta_async_tool
    async def add_up(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    runner = claude.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1000,
        tools=[add_up],
        messages=[{"role": "user", "content": 'use add_up {"a": 40, "b": 2}'}],
        stream=stream,
    )
    message = await runner.until_done()
    assert message.stop_reason == "end_turn"
    assert [block.text.split(" | ")[0] for block in message.content if block.type == "text"] == ["Tool result: 42"]
    assert len(proxy.simulator.generations) == 2
