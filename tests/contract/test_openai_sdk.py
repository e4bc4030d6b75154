"""OpenAI's own Python client gets from the proxy what it gets from OpenAI."""

import json

import httpx2
import pytest
from openai import AsyncOpenAI, NotFoundError, Omit
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolChoiceOptionParam

from tests.support.gpt import (
    CLOCK,
    HELLO,
    HELLO_ANSWER,
    MODEL,
    WEATHER,
    ask,
    both_ways,
    continue_with,
    left_generators,
    list_calls,
    read_calls,
    read_text,
)
from tests.support.proxy import CLIENT_KEY, Proxy

pytestmark = left_generators


@both_ways
async def test_completion_has_text_usage_and_finish_reason(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """The answer is the model's, with the upstream's own token counts, whole as well as streamed."""
    completion = await ask(gpt, HELLO, stream=stream)
    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert (choice.message.content, choice.message.tool_calls or []) == (HELLO_ANSWER, [])
    assert completion.usage is not None
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (2, 14, 16)
    assert (completion.model, completion.id[:9]) == (MODEL, "chatcmpl-")


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}])
async def test_raw_chunks_follow_the_grammar(gpt: AsyncOpenAI, options: dict[str, bool] | None) -> None:
    """One id, the role first, one finish reason last, and a usage chunk behind it only when it is asked for."""
    extra = {} if options is None else {"stream_options": options}
    stream = await gpt.chat.completions.create(model=MODEL, messages=HELLO, stream=True, extra_body=extra)
    chunks = [chunk async for chunk in stream]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    wants_usage = options is not None and options["include_usage"]
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - wants_usage) + [True] * wants_usage
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert len(choices) == len(chunks) - wants_usage
    assert [choice.delta.role for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice.finish_reason for choice in choices] == [*[None] * (len(choices) - 1), "stop"]
    pieces = [choice.delta.content for choice in choices if choice.delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == HELLO_ANSWER


async def test_stream_helper_gives_text_as_it_comes(gpt: AsyncOpenAI) -> None:
    """Its events have the answer in pieces and at the end whole."""
    async with gpt.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        events = [event async for event in stream]
    pieces = [event.delta for event in events if event.type == "content.delta"]
    assert len(pieces) > 1
    assert "".join(pieces) == HELLO_ANSWER
    assert [event.content for event in events if event.type == "content.done"] == [HELLO_ANSWER]


@both_ways
async def test_tool_loop(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """The model asks for a call, gets its result under the same id, and answers with it."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": 'use get_weather {"city": "Bergen \\u2602"}'}
    ]
    call = await ask(gpt, messages, stream=stream, tools=[WEATHER])
    assert call.choices[0].finish_reason == "tool_calls"
    [(name, arguments)] = read_calls(call)
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Bergen \u2602"})
    final = await ask(gpt, continue_with(messages, call, ["rain, 8 °C"]), stream=stream, tools=[WEATHER])
    assert (final.choices[0].finish_reason, read_calls(final)) == ("stop", [])
    assert (read_text(final) or "").startswith("Tool result: rain, 8 °C | ")


@both_ways
async def test_parallel_tool_calls(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """Two calls in one answer keep their own ids, arguments and results."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": 'use get_weather {"city": "Oslo"}\nuse get_time {}'}
    ]
    call = await ask(gpt, messages, stream=stream, tools=[WEATHER, CLOCK])
    calls = [(name, json.loads(arguments)) for name, arguments in read_calls(call)]
    assert calls == [("get_weather", {"city": "Oslo"}), ("get_time", {})]
    assert len({call.id for call in list_calls(call)}) == 2
    final = await ask(gpt, continue_with(messages, call, ["sun", "noon"]), stream=stream, tools=[WEATHER, CLOCK])
    assert (read_text(final) or "").startswith("Tool result: sun | Tool result: noon | ")


async def test_parallel_calls_can_be_forbidden(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """The upstream has no switch for it, so the model is told."""
    told = []
    for parallel in (True, False):
        await gpt.chat.completions.create(model=MODEL, messages=HELLO, tools=[CLOCK], parallel_tool_calls=parallel)
        told.append("Use at most one tool at a time." in proxy.simulator.generations[-1].raw.decode())
    assert told == [False, True]


@both_ways
async def test_image(gpt: AsyncOpenAI, png: str, *, stream: bool) -> None:
    """An image in a data URL is seen by the model."""
    completion = await ask(
        gpt,
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
                ],
            }
        ],
        stream=stream,
    )
    assert read_text(completion) == "You said: What is this? | turns: 1 | tools: none | images: 1 png"


@both_ways
async def test_thinking_is_kept_apart(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is the message's ``reasoning_content``, and no part of the text."""
    completion = await ask(gpt, [{"role": "user", "content": "think first"}], stream=stream)
    message = completion.choices[0].message
    assert message.to_dict()["reasoning_content"] == "Let me think: the question is plain, and so is the answer."
    assert message.content == "You said: think first | turns: 1 | tools: none | images: none"


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_instructions_reach_the_model(gpt: AsyncOpenAI, proxy: Proxy, role: str) -> None:
    """They stand before the question, under either name."""
    messages = [{"role": role, "content": "Answer in verse."}, *HELLO]
    await gpt.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"messages": messages})
    sent = proxy.simulator.generations[-1].raw.decode()
    assert 0 < sent.index("Answer in verse.") < sent.index("Hello")


@pytest.mark.parametrize(
    ("choice", "content", "used"),
    [
        ("auto", "Hello", []),
        ("auto", "use get_time {}", ["get_time"]),
        ("required", "Hello", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, "Hello", ["get_time"]),
        ("none", "use get_time {}", []),
    ],
    ids=["auto", "auto, asked", "required", "function", "none"],
)
async def test_tool_choice(
    gpt: AsyncOpenAI, choice: ChatCompletionToolChoiceOptionParam, content: str, used: list[str]
) -> None:
    """The four kinds of choice decide which tools the model calls."""
    completion = await gpt.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": content}],
        tools=[WEATHER, CLOCK],
        tool_choice=choice,
    )
    assert [name for name, _ in read_calls(completion)] == used
    assert completion.choices[0].finish_reason == ("tool_calls" if used else "stop")


@pytest.mark.parametrize("stop", ["turns", ["turns", "nothing"]], ids=["text", "list"])
async def test_stop_sequence_ends_the_answer(gpt: AsyncOpenAI, stop: str | list[str]) -> None:
    """The text ends before it."""
    completion = await gpt.chat.completions.create(model=MODEL, messages=HELLO, stop=stop)
    assert (read_text(completion), completion.choices[0].finish_reason) == ("You said: Hello | ", "stop")


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_models(gpt: AsyncOpenAI, proxy: Proxy, sent: list[httpx2.Request], header: str) -> None:
    """All models come on one page, with either header for the key."""
    headers: dict[str, str | Omit] = {"x-api-key": CLIENT_KEY, "authorization": Omit()}
    models = gpt.models.list(extra_headers=headers if header == "x-api-key" else None)
    listed = [model.id async for model in models]
    assert listed == [model.model_id for model in proxy.service.catalog.models]
    assert [set(request.headers) & {"authorization", "x-api-key"} for request in sent] == [{header}]


async def test_model_by_name(gpt: AsyncOpenAI) -> None:
    """A model of the list can be asked for; others are not found."""
    model = await gpt.models.retrieve(MODEL)
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "anthropic")
    with pytest.raises(NotFoundError, match="no-such-model") as caught:
        await gpt.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


async def test_request_ids(gpt: AsyncOpenAI, proxy: Proxy) -> None:
    """The client sees the id under which the request stands in the log, on whole and streamed answers and errors."""
    raw = await gpt.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    async with gpt.chat.completions.with_streaming_response.create(
        model=MODEL, messages=HELLO, stream=True
    ) as response:
        streamed = response.request_id
        await response.read()
    with pytest.raises(NotFoundError) as caught:
        await gpt.chat.completions.create(model="no-such-model", messages=HELLO)
    logged = [fields["request_id"] for fields in await proxy.log.wait("exchange", 3)]
    assert logged == [raw.request_id, streamed, caught.value.request_id]
    assert raw.request_id == raw.parse()._request_id
    assert len(set(logged)) == 3
