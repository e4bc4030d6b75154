"""A model small enough to predict: it says what it understood, and calls the tools that it is told to call.

It reasons, and answers in JSON, where a request asks for that. Ids are drawn by the caller.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.calls import Call, select_calls
from kiro2api.simulator.jsonanswers import build_json_answer
from kiro2api.simulator.models import MODELS, Model, find_model
from kiro2api.simulator.reasoning import think_after, think_before, think_between_tags
from kiro2api.simulator.request import Request, read_request
from kiro2api.simulator.script import Event

QUOTE_CHARS = 2000
"""Of a text that is quoted; of a longer one its end is, as instructions stand before what was asked."""
DELTA_CHARS = 12
"""Of text in one event, unless the text is so long that it would take more than :data:`MAX_DELTAS`."""
MAX_DELTAS = 40
CHARS_PER_TOKEN = 4
TOKENS_PER_CREDIT = 100_000
INPUT_FRAGMENTS = 3
"""Events that a tool use's input is cut into; fewer if the input is shorter."""


def answer(body: JSON, *, new_id: Callable[[], str]) -> list[Event]:
    """The events that answer a request which has passed the checks.

    Args:
        body: The request.
        new_id: Draws a tool-use id, another one each time.
    """
    request = read_request(body)
    calls = select_calls(request.current)
    model_id = request.current.model_id or "auto"
    demanded = None if calls else build_json_answer(request.current.content)
    text = think_between_tags(request) + (demanded or _describe(request, calls))
    events = [*think_before(request, model_id), *_say(text, model_id)]
    for call in calls:
        events.extend(_use(call, new_id()))
    events.extend(think_after(request))
    stop_reason = "TOOL_USE" if calls else "END_TURN"
    return [*events, *_close(request, events, stop_reason)]


def _describe(request: Request, calls: list[Call]) -> str:
    """What the model understood, in one line."""
    current = request.current
    parts = [f"Tool result: {_quote(result.text())}" for result in current.tool_results]
    if current.content.strip():
        parts.append(f"You said: {_quote(current.content)}")
    formats = Counter(image.format for message in request.user_messages for image in message.images or ())
    images = ", ".join(f"{count} {name}" for name, count in formats.items())
    parts += [
        f"turns: {len(request.history) + 1}",
        f"tools: {', '.join(tool.name for tool in current.tools) or 'none'}",
        f"images: {images or 'none'}",
    ]
    if calls:
        parts.append(f"using: {', '.join(call.name for call in calls)}")
    return " | ".join(parts)


def _quote(text: str) -> str:
    text = text.strip()
    return text if len(text) <= QUOTE_CHARS else f"…{text[-QUOTE_CHARS:]}"


def _say(text: str, model_id: str) -> Iterator[Event]:
    """The text in at least two events; the first also names the model."""
    size = max(DELTA_CHARS, math.ceil(len(text) / MAX_DELTAS))
    for start in range(0, len(text), size):
        payload = {"content": text[start : start + size]}
        yield Event("assistantResponseEvent", payload if start else {**payload, "modelId": model_id})


def _use(call: Call, tool_use_id: str) -> Iterator[Event]:
    """One tool use: the name alone, the input in fragments cut anywhere, the stop."""
    identity = {"name": call.name, "toolUseId": tool_use_id}
    source = msgspec.json.encode(call.input).decode()
    size = math.ceil(len(source) / INPUT_FRAGMENTS)
    yield Event("toolUseEvent", identity)
    for start in range(0, len(source), size):
        yield Event("toolUseEvent", {"input": source[start : start + size], **identity})
    yield Event("toolUseEvent", {**identity, "stop": True})


def _close(request: Request, events: list[Event], stop_reason: str) -> list[Event]:
    """The trailers: usage with stop reason, share of the window, price."""
    model: Model = find_model(request.current.model_id or "auto") or MODELS["auto"]
    input_tokens = _count_tokens(_read_input(request))
    output_tokens = _count_tokens(_read_output(events))
    total = input_tokens + output_tokens
    usage = {
        "uncachedInputTokens": input_tokens,
        "outputTokens": output_tokens,
        "totalTokens": total,
    }
    percentage = min(100.0, total / model.window * 100)
    price = {"unit": "credit", "unitPlural": "credits", "usage": total / TOKENS_PER_CREDIT}
    return [
        Event("metadataEvent", {"tokenUsage": usage, "stopReason": stop_reason}),
        Event("contextUsageEvent", {"contextUsagePercentage": percentage}),
        Event("meteringEvent", price),
    ]


def _count_tokens(texts: Iterator[str]) -> int:
    return math.ceil(sum(map(len, texts)) / CHARS_PER_TOKEN)


def _read_input(request: Request) -> Iterator[str]:
    """Every text that the model has to read; images count nothing."""
    for message in request.user_messages:
        yield message.content
        for result in message.tool_results:
            yield result.text()
    for entry in request.history:
        if entry.assistant_response_message is not None:
            yield entry.assistant_response_message.content
            for use in entry.assistant_response_message.tool_uses or ():
                yield use.name + msgspec.json.encode(use.input).decode()
    for tool in request.current.tools:
        schema = msgspec.json.encode(tool.input_schema.json).decode()
        yield tool.name + tool.description + schema


def _read_output(events: list[Event]) -> Iterator[str]:
    for event in events:
        for key in ("content", "text", "input"):
            yield str(event.payload.get(key, ""))
