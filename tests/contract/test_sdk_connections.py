"""The makers' clients and the proxy's connections: many at once, one for many, left early, and silent for long."""

import httpx2
import pytest
import trio
from anthropic import APIStatusError, AsyncAnthropic, BadRequestError
from openai import APIError, AsyncOpenAI

from kiro2api.simulator.script import Event, Hang, Proceed, WaitFor
from tests.support import claude as anthropic_side
from tests.support import gpt as openai_side
from tests.support.claude import HELLO, HELLO_ANSWER, MODEL, both_ways
from tests.support.proxy import Proxy, running_proxy
from tests.support.troubles import TOO_LONG

MANY = 40
"""Requests that an agent's helpers send at the same moment."""
AT_ONCE = 0.01
"""Seconds of silence after which a stream begins with a ping."""

pytestmark = openai_side.left_generators


@both_ways
async def test_many_at_once(claude: AsyncAnthropic, proxy: Proxy, *, stream: bool) -> None:
    """Each of many clients gets the answer to its own question."""
    answers: dict[str, str] = {}

    async def ask(question: str) -> None:
        answer = await anthropic_side.ask(claude, [{"role": "user", "content": question}], stream=stream)
        answers[question] = anthropic_side.read_text(answer)

    questions = [f"Question {number}" for number in range(MANY)]
    async with trio.open_nursery() as nursery:
        for question in questions:
            nursery.start_soon(ask, question)
    expected = {question: f"You said: {question} | turns: 1 | tools: none | images: none" for question in questions}
    assert answers == expected
    await proxy.log.wait("exchange", MANY)
    assert len(proxy.service.lives) == 0


async def test_one_connection_for_all(claude: AsyncAnthropic, gpt: AsyncOpenAI, http: httpx2.AsyncClient) -> None:
    """Whole answers, streamed ones and refusals leave the connection as it was."""
    ports: set[object] = set()

    async def note(response: httpx2.Response) -> None:
        ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))

    http.event_hooks = {"response": [note]}
    for stream in (False, True):
        await anthropic_side.ask(claude, HELLO, stream=stream)
        with pytest.raises(BadRequestError):
            await anthropic_side.ask(claude, [], stream=stream)
    stream_of_chunks = await gpt.chat.completions.create(model=MODEL, messages=openai_side.HELLO, stream=True)
    await stream_of_chunks.response.aread()
    await openai_side.ask(gpt, openai_side.HELLO, stream=False)
    assert len(ports) == 1


async def test_stream_that_is_left_early(claude: AsyncAnthropic, proxy: Proxy) -> None:
    """The upstream's answer is given up as soon as the client has gone."""
    proxy.simulator.enqueue([Event("assistantResponseEvent", {"content": "Once upon a time"}), Hang()])
    async with claude.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
        async for piece in stream.text_stream:
            assert piece == "Once upon a time"
            break
    [record] = proxy.simulator.generations
    await record.finished.wait()
    assert record.outcome == "cut_by_peer"
    [fields] = await proxy.log.wait("exchange")
    assert fields["outcome"] == "client_disconnected"


async def test_anthropic_stream_that_begins_late(claude: AsyncAnthropic) -> None:
    """It is opened before the upstream has said a word, and then goes on as any other."""
    begin = trio.Event()
    async with running_proxy(ping_interval=AT_ONCE) as proxy:
        proxy.simulator.enqueue([WaitFor(begin), Proceed()])
        asking = claude.with_options(base_url=proxy.url)
        async with asking.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
            begin.set()
            message = await stream.get_final_message()
    assert (anthropic_side.read_text(message), message.stop_reason) == (HELLO_ANSWER, "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (2, 14)


async def test_anthropic_stream_that_fails_late(claude: AsyncAnthropic) -> None:
    """A refusal after the stream was opened is told inside it, in the same words."""
    begin = trio.Event()
    async with running_proxy(ping_interval=AT_ONCE) as proxy:
        proxy.simulator.enqueue([WaitFor(begin), *TOO_LONG])
        asking = claude.with_options(base_url=proxy.url)
        async with asking.messages.stream(model=MODEL, max_tokens=1000, messages=HELLO) as stream:
            begin.set()
            with pytest.raises(APIStatusError, match="prompt is too long") as caught:
                await stream.get_final_message()
    assert caught.value.type == "invalid_request_error"


async def test_openai_stream_that_begins_late(gpt: AsyncOpenAI) -> None:
    """It is opened before the upstream has said a word, and then goes on as any other."""
    begin = trio.Event()
    async with running_proxy(ping_interval=AT_ONCE) as proxy:
        proxy.simulator.enqueue([WaitFor(begin), Proceed()])
        asking = gpt.with_options(base_url=f"{proxy.url}/v1")
        async with asking.chat.completions.stream(model=MODEL, messages=openai_side.HELLO) as stream:
            begin.set()
            completion = await stream.get_final_completion()
    [choice] = completion.choices
    assert (choice.message.content, choice.message.role, choice.finish_reason) == (HELLO_ANSWER, "assistant", "stop")


async def test_openai_stream_that_fails_late(gpt: AsyncOpenAI) -> None:
    """A refusal after the stream was opened is told inside it, with the same code."""
    begin = trio.Event()
    async with running_proxy(ping_interval=AT_ONCE) as proxy:
        proxy.simulator.enqueue([WaitFor(begin), *TOO_LONG])
        asking = gpt.with_options(base_url=f"{proxy.url}/v1")
        async with asking.chat.completions.stream(model=MODEL, messages=openai_side.HELLO) as stream:
            begin.set()
            with pytest.raises(APIError, match="prompt is too long") as caught:
                await stream.get_final_completion()
    assert caught.value.code == "context_length_exceeded"
