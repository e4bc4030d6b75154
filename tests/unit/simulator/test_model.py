"""What the small model answers, event by event."""

import json
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.model import MAX_DELTAS, QUOTE_CHARS, answer
from kiro2api.simulator.script import Event
from tests.unit.simulator.bodies import (
    JPEG,
    assistant,
    image,
    request,
    result,
    tool,
    tool_loop,
    use,
    user,
)


def counter() -> Callable[[], str]:
    """Draws ``tooluse_1``, ``tooluse_2`` and so on."""
    numbers: Iterator[int] = count(1)
    return lambda: f"tooluse_{next(numbers)}"


def events_of(body: JSONObject, event_type: str) -> list[Event]:
    """The events of one type in the answer."""
    return [event for event in answer(body, new_id=counter()) if event.event_type == event_type]


def text_of(body: JSONObject) -> str:
    """The whole text of the answer."""
    events = events_of(body, "assistantResponseEvent")
    return "".join(str(event.payload["content"]) for event in events)


def test_an_answer_says_what_was_understood() -> None:
    """A plain question brings text in several events, then the three trailers with counts that add up."""
    events = answer(request(user("Hello, world!")), new_id=counter())
    assert events == [
        Event("assistantResponseEvent", {"content": "You said: He", "modelId": "claude-sonnet-4.5"}),
        Event("assistantResponseEvent", {"content": "llo, world! "}),
        Event("assistantResponseEvent", {"content": "| turns: 1 |"}),
        Event("assistantResponseEvent", {"content": " tools: none"}),
        Event("assistantResponseEvent", {"content": " | images: n"}),
        Event("assistantResponseEvent", {"content": "one"}),
        Event(
            "metadataEvent",
            {
                "tokenUsage": {"uncachedInputTokens": 4, "outputTokens": 16, "totalTokens": 20},
                "stopReason": "END_TURN",
            },
        ),
        Event("contextUsageEvent", {"contextUsagePercentage": 0.01}),
        Event("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": 0.0002}),
    ]


def test_turns_tools_and_images_are_counted() -> None:
    """The text has the number of turns, the names of the tools, and all images by format."""
    tools: JSON = [tool("get_weather"), tool("Read")]
    current = user("x", images=[image(), image("jpeg", JPEG)], context={"tools": tools})
    body = request(current, [user(images=[image()]), assistant()])
    assert text_of(body) == ("You said: x | turns: 3 | tools: get_weather, Read | images: 2 png, 1 jpeg")


def test_tool_results_are_quoted() -> None:
    """Each result's text is in the answer, JSON as its source; a placeholder of blanks is not."""
    results: list[JSON] = [
        result("a", "12:00"),
        result("b", content=[{"text": "late"}, {"json": {"x": [1]}}]),
    ]
    body = tool_loop(uses=[use("a"), use("b")], results=results)
    assert text_of(body) == (
        'Tool result: 12:00 | Tool result: late {"x":[1]} | turns: 3 | tools: get_time | images: none'
    )


def test_of_a_long_text_the_end_is_quoted() -> None:
    """Instructions before a question do not flood the answer, and its events stay few."""
    body = request(user("system " * QUOTE_CHARS + "\U0001f600question"))
    assert f"…{('system ' * QUOTE_CHARS)[9 - QUOTE_CHARS :]}\U0001f600question" in text_of(body)
    assert len(events_of(body, "assistantResponseEvent")) <= MAX_DELTAS


def test_a_tool_use_is_streamed_in_fragments() -> None:
    """Name first, then the input cut anywhere, then the stop; the text says which tool, the trailer why it ended."""
    tools: JSON = [tool("get_weather")]
    body = request(user('use get_weather {"city": "Tromsø"}', context={"tools": tools}))
    identity = {"name": "get_weather", "toolUseId": "tooluse_1"}
    assert events_of(body, "toolUseEvent") == [
        Event("toolUseEvent", identity),
        Event("toolUseEvent", {"input": '{"city', **identity}),
        Event("toolUseEvent", {"input": '":"Tro', **identity}),
        Event("toolUseEvent", {"input": 'msø"}', **identity}),
        Event("toolUseEvent", {**identity, "stop": True}),
    ]
    assert text_of(body).endswith(" | using: get_weather")
    assert events_of(body, "metadataEvent")[0].payload["stopReason"] == "TOOL_USE"


def test_several_tool_uses_have_ids_of_their_own() -> None:
    """Each call is whole before the next one starts, and its fragments join to its input."""
    text = 'use a {"x": 1}\nuse a {}'
    events = events_of(request(user(text, context={"tools": [tool("a")]})), "toolUseEvent")
    inputs: dict[object, str] = {}
    for event in events:
        key = event.payload["toolUseId"]
        inputs[key] = inputs.get(key, "") + str(event.payload.get("input", ""))
    assert {key: json.loads(source) for key, source in inputs.items()} == {
        "tooluse_1": {"x": 1},
        "tooluse_2": {},
    }


def test_thinking_comes_first_when_asked_for() -> None:
    """Reasoning is several events of text and one with the signature alone, all before the text."""
    events = answer(request(user("Think first, then speak.")), new_id=counter())
    types = [event.event_type for event in events]
    keys = [list(event.payload) for event in events if event.event_type == types[0]]
    assert types[:5] == ["reasoningContentEvent"] * 4 + ["assistantResponseEvent"]
    assert keys == [["text"], ["text"], ["text"], ["signature"]]


def with_fields(body: JSONObject, **fields: JSON) -> JSONObject:
    """``body`` with fields for its model."""
    return {**body, "additionalModelRequestFields": fields}


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"thinking": {"type": "adaptive"}}, ["text", "text", "text", "signature"]),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ["signature"]),
        ({"thinking": {"type": "disabled"}}, []),
        ({"reasoning": {"effort": "low"}}, ["redactedContent"]),
        ({"reasoning": {"effort": "none"}}, []),
        ({"max_tokens": 2000}, []),
    ],
)
def test_thinking_as_the_fields_ask(fields: JSONObject, keys: list[str]) -> None:
    """All of it, the signature alone, nothing readable, or nothing."""
    events = events_of(with_fields(request(user("Hi")), **fields), "reasoningContentEvent")
    assert [key for event in events for key in event.payload] == keys


def test_redacted_thinking_comes_last() -> None:
    """Behind the text, before the trailers."""
    events = answer(with_fields(request(user("Hi")), reasoning={"effort": "high"}), new_id=counter())
    assert [event.event_type for event in events][-5:-3] == ["assistantResponseEvent", "reasoningContentEvent"]


def test_thinking_between_tags() -> None:
    """A model that is asked in words thinks at the beginning of its text, in later turns too."""
    first = user("<thinking_mode>adaptive</thinking_mode><thinking_effort>high</thinking_effort>")
    text = text_of(request(user("Hi"), [first, assistant()]))
    assert text.startswith("<thinking>\nLet me think: ")
    assert "and so is the answer.\n</thinking>\n\nYou said: Hi" in text


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (request(user("x" * 8)), 2),
        (request(user("x" * 9)), 3),
        (request(user("x" * 4), [user("x" * 4), assistant("x" * 4)]), 3),
        (tool_loop(), 22),
    ],
)
def test_input_is_counted_by_its_characters(body: JSONObject, tokens: int) -> None:
    """Four characters of text, tool uses, tool results or tools are a token; a rest counts as one."""
    usage = events_of(body, "metadataEvent")[0].payload["tokenUsage"]
    assert isinstance(usage, dict)
    assert usage["uncachedInputTokens"] == tokens


def test_no_more_than_the_whole_window_is_used() -> None:
    """The share of the window ends at a hundred per cent."""
    [event] = events_of(request(user("x" * 900_000)), "contextUsageEvent")
    assert event.payload == {"contextUsagePercentage": 100.0}


def test_a_request_without_a_model_is_answered() -> None:
    """The service chooses the model, and says so."""
    event = events_of(request(user(modelId=None)), "assistantResponseEvent")[0]
    assert event.payload["modelId"] == "auto"
