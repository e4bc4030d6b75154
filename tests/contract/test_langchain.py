"""LangChain's two packages work with the proxy: Anthropic's dialect, and both of OpenAI's.

Their calls block, so each runs in a thread beside the proxy.
"""

import json
from collections.abc import Callable, Generator, Sequence

import pytest
import trio
from langchain_anthropic import ChatAnthropic
from langchain_core.exceptions import ContextOverflowError, ModelAuthenticationError, ModelNotFoundError
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from kiro2api.simulator.script import Event, Hang
from tests.support.claude import HELLO_ANSWER, MODEL
from tests.support.proxy import CLIENT_KEY, Proxy
from tests.support.troubles import TOO_LONG

type Model = Runnable[LanguageModelInput, AIMessage]

THOUGHT = "Let me think: the question is plain, and so is the answer."


class City(BaseModel):
    """A city and where it is."""

    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sun over {city}"


@tool
def get_time() -> str:
    """The time."""
    return "noon"


def _build_anthropic(url: str, key: str) -> BaseChatModel:
    return ChatAnthropic(
        model=MODEL, anthropic_api_key=SecretStr(key), anthropic_api_url=url, max_tokens=1000, max_retries=0
    )


def _build_chat(url: str, key: str) -> BaseChatModel:
    return ChatOpenAI(
        model_name=MODEL,
        openai_api_key=SecretStr(key),
        openai_api_base=f"{url}/v1",
        max_retries=0,
        stream_usage=True,
    )


def _build_responses(url: str, key: str, *, keep: bool = False) -> BaseChatModel:
    return ChatOpenAI(
        model_name=MODEL,
        openai_api_key=SecretStr(key),
        openai_api_base=f"{url}/v1",
        max_retries=0,
        use_responses_api=True,
        use_previous_response_id=keep,
    )


type Build = Callable[[str, str], BaseChatModel]

DIALECTS: dict[str, Build] = {"anthropic": _build_anthropic, "chat": _build_chat, "responses": _build_responses}


@pytest.fixture(params=DIALECTS)
def build(request: pytest.FixtureRequest) -> Build:
    """Makes a model of LangChain from the proxy's URL and a key."""
    return DIALECTS[request.param]


@pytest.fixture
def model(build: Build, proxy: Proxy) -> BaseChatModel:
    """A model of LangChain with the right key, which repeats nothing."""
    return build(proxy.url, CLIENT_KEY)


async def _invoke(model: Model, messages: LanguageModelInput) -> AIMessage:
    return await trio.to_thread.run_sync(model.invoke, messages)


async def _stream(model: Model, messages: LanguageModelInput) -> list[AIMessageChunk]:
    def gather() -> list[AIMessageChunk]:
        return [chunk for chunk in model.stream(messages) if isinstance(chunk, AIMessageChunk)]

    return await trio.to_thread.run_sync(gather)


def _add_up(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    total = first
    for chunk in rest:
        total += chunk
    return total


async def test_text_whole_and_streamed(model: BaseChatModel) -> None:
    """Both are the model's words, with the upstream's own token counts; the streamed one comes in pieces."""
    whole = await _invoke(model, "Hello")
    chunks = await _stream(model, "Hello")
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    for answer in (whole, _add_up(chunks)):
        assert answer.text == HELLO_ANSWER
        assert answer.usage_metadata is not None
        usage = answer.usage_metadata
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (2, 14, 16)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_tool_loop(model: BaseChatModel, *, stream: bool) -> None:
    """Two calls in one answer keep their own ids and arguments, and the model gets both results."""
    bound = model.bind_tools([get_weather, get_time])
    messages: list[BaseMessage] = [HumanMessage('use get_weather {"city": "Bergen \\u2602"}\nuse get_time {}')]
    call = _add_up(await _stream(bound, messages)) if stream else await _invoke(bound, messages)
    assert [(use["name"], use["args"]) for use in call.tool_calls] == [
        ("get_weather", {"city": "Bergen \u2602"}),
        ("get_time", {}),
    ]
    by_name = {"get_weather": get_weather, "get_time": get_time}
    messages += [call, *(by_name[use["name"]].invoke(use) for use in call.tool_calls)]
    final = await _invoke(bound, messages)
    assert final.tool_calls == []
    assert final.text.startswith("Tool result: sun over Bergen \u2602 | Tool result: noon | ")


async def test_tool_call_comes_in_pieces(model: BaseChatModel) -> None:
    """The arguments of a streamed call are not held back until they are whole."""
    chunks = await _stream(model.bind_tools([get_weather]), 'use get_weather {"city": "Oslo"}')
    pieces = [piece["args"] for chunk in chunks for piece in chunk.tool_call_chunks if piece["args"]]
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("choice", "used"), [("any", ["get_weather"]), ("get_time", ["get_time"])], ids=["any", "named"]
)
async def test_tool_choice(model: BaseChatModel, choice: str, used: list[str]) -> None:
    """A model that has to use a tool does."""
    answer = await _invoke(model.bind_tools([get_weather, get_time], tool_choice=choice), "Hello")
    assert [use["name"] for use in answer.tool_calls] == used


async def test_structured_output_by_a_tool(model: BaseChatModel) -> None:
    """The model is made to call the tool that stands for the form."""
    structured = model.with_structured_output(City, method="function_calling")
    asked = 'use City {"name": "Bergen", "country": "Norway"}'
    assert await trio.to_thread.run_sync(structured.invoke, asked) == City(name="Bergen", country="Norway")
    assert await trio.to_thread.run_sync(structured.invoke, "Hello") == City(name="example", country="example")


async def test_structured_output_by_a_schema(model: BaseChatModel) -> None:
    """The model is asked for an answer of that form."""
    structured = model.with_structured_output(City, method="json_schema")
    assert await trio.to_thread.run_sync(structured.invoke, "Hello") == City(name="example", country="example")


@pytest.mark.parametrize("build", ["chat", "responses"], indirect=True)
async def test_json_mode(model: BaseChatModel) -> None:
    """The model is asked for JSON; LangChain says nothing of the form."""
    structured = model.with_structured_output(City.model_json_schema(), method="json_mode")
    assert await trio.to_thread.run_sync(structured.invoke, "Hello, in JSON") == {"answer": "example"}


async def test_image(model: BaseChatModel, png: str) -> None:
    """An image in LangChain's own form is seen by the model."""
    picture = {"type": "image", "base64": png, "mime_type": "image/png"}
    answer = await _invoke(model, [HumanMessage([{"type": "text", "text": "What is this?"}, picture])])
    assert answer.text == "You said: What is this? | turns: 1 | tools: none | images: 1 png"


async def test_image_in_a_tool_result(model: BaseChatModel, png: str) -> None:
    """What a tool shows is seen by the model as well."""
    bound = model.bind_tools([get_weather])
    messages: list[BaseMessage] = [HumanMessage('use get_weather {"city": "Oslo"}')]
    call = await _invoke(bound, messages)
    picture = {"type": "image", "base64": png, "mime_type": "image/png"}
    result = ToolMessage([{"type": "text", "text": "A chart."}, picture], tool_call_id=call.tool_calls[0]["id"])
    answer = await _invoke(bound, [*messages, call, result])
    assert answer.text.startswith("Tool result: A chart.")
    assert answer.text.endswith("images: 1 png")


async def test_conversation(model: BaseChatModel, proxy: Proxy) -> None:
    """System prompt, thinking and text of the turns before come back without harm."""
    messages: list[BaseMessage] = [SystemMessage("Answer in verse."), HumanMessage("think first")]
    first = await _invoke(model, messages)
    assert first.text == "You said: Answer in verse.\n\nthink first | turns: 1 | tools: none | images: none"
    answer = await _invoke(model, [*messages, first, HumanMessage("And now?")])
    assert answer.text == "You said: And now? | turns: 3 | tools: none | images: none"
    assert [record.rule for record in proxy.simulator.generations] == [None, None]


@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        ("anthropic", {"thinking": {"type": "adaptive"}}),
        ("responses", {"reasoning": {"effort": "high", "summary": "auto"}}),
    ],
    ids=["anthropic", "responses"],
)
async def test_thinking(proxy: Proxy, dialect: str, asked: dict[str, object]) -> None:
    """A model that is asked to think does, and LangChain tells its thoughts from its text."""
    model = DIALECTS[dialect](proxy.url, CLIENT_KEY).bind(**asked)
    whole = await _invoke(model, "Hello")
    chunks = await _stream(model, "Hello")
    for answer in ([whole], chunks):
        blocks = [block for message in answer for block in message.content_blocks]
        assert "".join(block.get("reasoning", "") for block in blocks if block["type"] == "reasoning") == THOUGHT
        assert "".join(message.text for message in answer) == HELLO_ANSWER


async def test_response_that_is_kept(proxy: Proxy) -> None:
    """LangChain sends the newest message and the id of the response before; the model knows what was said really."""
    model = _build_responses(proxy.url, CLIENT_KEY, keep=True)
    first = await _invoke(model, "Hello")
    answer = await _invoke(model, [HumanMessage("Something else"), first, HumanMessage("And now?")])
    assert answer.text == "You said: And now? | turns: 3 | tools: none | images: none"
    sent = proxy.simulator.generations[-1].raw
    assert (b"Hello" in sent, b"Something else" in sent) == (True, False)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_errors(build: Build, proxy: Proxy, *, stream: bool) -> None:
    """LangChain tells by its own classes a wrong key, an unknown model and a conversation that is too long."""
    ask = _stream if stream else _invoke
    with pytest.raises(ModelAuthenticationError):
        await ask(build(proxy.url, "another-key"), "Hello")
    model = build(proxy.url, CLIENT_KEY)
    with pytest.raises(ModelNotFoundError, match="no-such-model"):
        await ask(model.bind(model="no-such-model"), "Hello")
    proxy.simulator.enqueue(TOO_LONG)
    with pytest.raises(ContextOverflowError, match="prompt is too long"):
        await ask(model, "Hello")


async def test_stream_that_is_left_early(model: BaseChatModel, proxy: Proxy) -> None:
    """The upstream's answer is given up as soon as the client has gone."""
    proxy.simulator.enqueue([Event("assistantResponseEvent", {"content": "Once upon a time"}), Hang()])

    def leave() -> str:
        chunks = model.stream("Hello")
        assert isinstance(chunks, Generator)
        text: str = next(chunk.text for chunk in chunks if chunk.text)
        chunks.close()
        return text

    assert await trio.to_thread.run_sync(leave) == "Once upon a time"
    [record] = proxy.simulator.generations
    await record.finished.wait()
    assert record.outcome == "cut_by_peer"
