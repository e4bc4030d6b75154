"""The makers' own helpers for answers in JSON get what they parse, from the running proxy."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import httpx2
import pytest
from anthropic import APIStatusError as ClaudeError
from anthropic import AsyncAnthropic
from openai import APIError as GptError
from openai import AsyncOpenAI
from pydantic import BaseModel

from kiro2api.simulator.script import Event, Pause
from tests.support import claude as claude_support
from tests.support.gpt import HELLO, MODEL, both_ways, left_generators
from tests.support.proxy import HELLO as HELLO_BODY
from tests.support.proxy import Proxy

pytestmark = left_generators


class Line(BaseModel):
    """A part of what is asked for."""

    name: str
    count: int


class Order(BaseModel):
    """What is asked for: references, choices, lists, and what may be null."""

    kind: Literal["new", "old"]
    lines: list[Line]
    first: Line
    note: str | None


LINE = Line(name="example", count=1)
ORDER = Order(kind="new", lines=[LINE], first=LINE, note="example")


async def _parse_completion(gpt: AsyncOpenAI, *, stream: bool) -> Order | None:
    if not stream:
        whole = await gpt.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Order)
        return whole.choices[0].message.parsed
    async with gpt.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Order) as events:
        final = await events.get_final_completion()
    return final.choices[0].message.parsed


async def _parse_response(gpt: AsyncOpenAI, *, stream: bool) -> Order | None:
    if not stream:
        return (await gpt.responses.parse(model=MODEL, input="Hello", text_format=Order)).output_parsed
    async with gpt.responses.stream(model=MODEL, input="Hello", text_format=Order) as events:
        return (await events.get_final_response()).output_parsed


async def _parse_message(claude: AsyncAnthropic, *, stream: bool) -> Order | None:
    messages = claude_support.HELLO
    if not stream:
        whole = await claude.messages.parse(model=MODEL, max_tokens=1000, messages=messages, output_format=Order)
        return whole.parsed_output
    async with claude.messages.stream(model=MODEL, max_tokens=1000, messages=messages, output_format=Order) as events:
        return (await events.get_final_message()).parsed_output


type Parse = Callable[..., Awaitable[Order | None]]

each_of_gpt = pytest.mark.parametrize("parse", [_parse_completion, _parse_response], ids=["chat", "responses"])


def _say(text: str, *, credit: float = 0.5) -> Sequence[Event]:
    """An answer of the upstream's, and its price."""
    return [Event("assistantResponseEvent", {"content": text}), Event("meteringEvent", {"usage": credit})]


@both_ways
@each_of_gpt
async def test_openai_s_helpers_parse(gpt: AsyncOpenAI, parse: Parse, *, stream: bool) -> None:
    """A model of pydantic's goes in as a schema and comes back as a value."""
    assert await parse(gpt, stream=stream) == ORDER


@both_ways
async def test_anthropic_s_helper_parses(claude: AsyncAnthropic, *, stream: bool) -> None:
    """The same in Anthropic's dialect."""
    assert await _parse_message(claude, stream=stream) == ORDER


@both_ways
async def test_a_code_fence_is_taken_off(proxy: Proxy, claude: AsyncAnthropic, *, stream: bool) -> None:
    """The upstream is asked once; the log says what was done."""
    proxy.simulator.enqueue(_say(f"Here it is:\n```json\n{ORDER.model_dump_json()}\n```"))
    assert await _parse_message(claude, stream=stream) == ORDER
    [line] = await proxy.log.wait("exchange")
    assert line["repairs"] == ["emulated_answer_format", "unwrapped_json"]
    assert (line["upstream_calls"], line["credits"]) == (1, 0.5)


@both_ways
@each_of_gpt
async def test_the_model_is_asked_again_once(proxy: Proxy, gpt: AsyncOpenAI, parse: Parse, *, stream: bool) -> None:
    """It sees its answer and what is wrong with it; both are paid for, and no credential is to blame."""
    proxy.simulator.enqueue(_say('{"kind": "stale"}'), _say(ORDER.model_dump_json(), credit=0.25))
    assert await parse(gpt, stream=stream) == ORDER
    [line] = await proxy.log.wait("exchange")
    assert line["repairs"] == ["emulated_answer_format", "asked_again_for_json"]
    assert (line["failed_attempts"], line["upstream_calls"], line["credits"]) == (["answer"], 2, 0.75)
    asked = proxy.simulator.generations[1].raw.decode()
    assert r'"content":"{\"kind\": \"stale\"}"' in asked
    assert "at $.kind: 'stale' is not one of ['new', 'old']" in asked
    [state] = proxy.broker.statistics().credentials
    assert state.standing.value == "usable"


@both_ways
@each_of_gpt
async def test_two_wrong_answers_are_an_error(
    proxy: Proxy, gpt: AsyncOpenAI, sent: list[httpx2.Request], parse: Parse, *, stream: bool
) -> None:
    """The client is told not to ask again, and OpenAI's does not."""
    proxy.simulator.enqueue(_say("no"), _say("never"), _say(ORDER.model_dump_json()))
    with pytest.raises(GptError, match="not JSON of the form") as told:
        await parse(gpt.with_options(max_retries=2), stream=stream)
    assert (told.value.code, len(sent)) == ("answer_format", 1)
    [line] = await proxy.log.wait("exchange")
    assert (line["outcome"], line["failure"]) == ("answer_format", "answer format: not JSON")
    assert (line["upstream_calls"], line["credits"]) == (2, 1.0)


@both_ways
async def test_two_wrong_answers_are_an_error_for_anthropic_s_client(
    proxy: Proxy, claude: AsyncAnthropic, sent: list[httpx2.Request], *, stream: bool
) -> None:
    """The same in the other dialect."""
    proxy.simulator.enqueue(_say("no"), _say("never"), _say(ORDER.model_dump_json()))
    with pytest.raises(ClaudeError, match="not JSON of the form") as told:
        await _parse_message(claude.with_options(max_retries=2), stream=stream)
    assert (told.value.status_code, len(sent)) == (502, 1)


async def test_a_client_is_kept_awake_while_it_waits(proxy: Proxy) -> None:
    """The head and pings come first, over both attempts; then the answer at once, and nothing of the first one."""
    proxy.service.ping_seconds = 0.05
    proxy.simulator.enqueue([*_say("no"), Pause(0.3)], [*_say('{"kind"'), Pause(0.3), *_say(": 1}")])
    form = {"format": {"type": "json_schema", "schema": {"required": ["kind"]}}}
    body = HELLO_BODY | {"stream": True, "output_config": form}
    async with proxy.client.stream("POST", "/v1/messages", json=body) as response:
        names = [line.removeprefix("event: ") async for line in response.aiter_lines() if line.startswith("event: ")]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert names.count("ping") > 4
    assert [name for name in names if name != "ping"] == ["message_start", *block, "message_delta", "message_stop"]


async def test_an_answer_that_is_cut_goes_out_as_it_is(proxy: Proxy, gpt: AsyncOpenAI) -> None:
    """As at OpenAI, the client sees why there is nothing to parse."""
    cut = Event("metadataEvent", {"stopReason": "MAX_TOKENS"})
    proxy.simulator.enqueue([*_say('{"kind": "ne'), cut])
    completion = await gpt.chat.completions.create(model=MODEL, messages=HELLO, response_format={"type": "json_object"})
    [choice] = completion.choices
    assert (choice.finish_reason, choice.message.content) == ("length", '{"kind": "ne')
