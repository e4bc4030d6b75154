"""Prompts that are too long, or that the upstream only calls improperly formed, told so that agents compact."""

import json
import re

import httpx
import pytest

from kiro2api.protocol.kiro.overflow import SIZE_MESSAGE
from kiro2api.simulator.script import Event, ExceptionFrame, Respond, Script
from tests.support.proxy import Proxy, running_proxy
from tests.support.troubles import TOO_LARGE, TOO_LONG

pytestmark = pytest.mark.slow

MESSAGES, COMPLETIONS, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
PATHS = (MESSAGES, COMPLETIONS, RESPONSES)
OVER_WINDOW = "word " * 400_000
"""Twice as many tokens as the model holds; the estimate may be off by a third."""
LARGE = "a" * 600_001
"""Characters; beyond what the older hosts take, and far from any context window."""
WINDOW = 200_000

all_paths = pytest.mark.parametrize("path", PATHS)


def build_body(path: str, text: str, *, stream: bool) -> dict[str, object]:
    """A request with these words."""
    body: dict[str, object] = {"model": "claude-sonnet-4-5", "stream": stream}
    if path == RESPONSES:
        return body | {"input": text}
    return body | {"max_tokens": 1000, "messages": [{"role": "user", "content": text}]}


async def ask(proxy: Proxy, path: str, text: str, *script: Script, stream: bool = False) -> httpx.Response:
    """The answer to a request with these words, which the upstream is asked for once."""
    proxy.simulator.enqueue(*script)
    calls = len(proxy.simulator.generations)
    response = await proxy.client.post(path, json=build_body(path, text, stream=stream))
    assert len(proxy.simulator.generations) == calls + 1
    return response


def read_error(response: httpx.Response) -> tuple[int, str, object]:
    """Status, message, and OpenAI's code."""
    error = response.json()["error"]
    return response.status_code, error["message"], error.get("code")


@all_paths
async def test_both_numbers_are_told(path: str) -> None:
    """Claude Code reads them; OpenAI's clients get the code and the words that they look for. Streamed or not."""
    async with running_proxy() as proxy:
        for stream in (False, True):
            status, message, code = read_error(await ask(proxy, path, OVER_WINDOW, TOO_LONG, stream=stream))
            numbers = re.match(r"prompt is too long: (\d+) tokens > (\d+) maximum", message)
            assert numbers is not None
            assert int(numbers[1]) > int(numbers[2]) == WINDOW
            assert (status, code) == (400, None if path == MESSAGES else "context_length_exceeded")
            assert ("maximum context length is 200000 tokens." in message) == (path != MESSAGES)


@all_paths
@pytest.mark.parametrize("script", [TOO_LARGE, [Respond(413)]], ids=["no reason", "413"])
async def test_too_large_a_body_is_too_long_a_prompt(path: str, script: Script) -> None:
    """Agents can compact, and nothing else helps; no number is made up. The log says what the upstream said."""
    async with running_proxy() as proxy:
        status, message, code = read_error(await ask(proxy, path, LARGE, script))
        assert message == SIZE_MESSAGE
        assert (status, code) == (400, None if path == MESSAGES else "context_length_exceeded")
        [line] = await proxy.log.wait("exchange")
        assert line["outcome"] == "context_overflow"
        assert "large_body" in str(line["repairs"])
        assert re.match(r"class=\w+ status=4(00|13) ", str(line["failure"]))


@all_paths
async def test_small_body_is_not_too_long(path: str) -> None:
    """What is left after an agent has compacted is told as it is, or it would compact for ever."""
    async with running_proxy() as proxy:
        status, message, code = read_error(await ask(proxy, path, "Hello", TOO_LARGE))
        assert (status, message, code) == (400, "The upstream refused the form of the translated request.", None)


IN_STREAM: Script = [
    Event("assistantResponseEvent", {"content": "Well"}),
    ExceptionFrame("validationError", {"message": "Input is too long.", "reason": "CONTENT_LENGTH_EXCEEDS_THRESHOLD"}),
]


@all_paths
async def test_prompt_that_turns_out_too_long_in_the_stream(path: str) -> None:
    """The words, and the code, stand in the error that ends it."""
    async with running_proxy() as proxy:
        response = await ask(proxy, path, OVER_WINDOW, IN_STREAM, stream=True)
        assert response.status_code == 200
        assert "Well" in response.text
        last = json.loads(response.text.strip().splitlines()[-1].removeprefix("data: "))
        error = last["response"]["error"] if path == RESPONSES else last["error"]
        assert re.match(r"prompt is too long: \d+ tokens > 200000 maximum", error["message"])
        assert error.get("code") == (None if path == MESSAGES else "context_length_exceeded")
