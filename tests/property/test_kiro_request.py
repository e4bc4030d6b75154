"""Whatever the conversation, the upstream takes the request that is built from it, and nothing is lost on the way."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import dropwhile
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Text,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.request import UpstreamRequest, build_request
from kiro2api.protocol.kiro.simplification import simplify_schemas
from kiro2api.simulator.validation import validate_request
from tests.support.conversations import assistant_turns, conversations, tool_choices, turn_lists, user_turns

PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"

any_conversation = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(conversations())
@any_conversation
def test_upstream_takes_any_conversation(conversation: Conversation) -> None:
    """The simulated service finds nothing to refuse."""
    body = build(conversation).encode(profile_arn=PROFILE_ARN)
    assert validate_request(body) is None


@given(conversations())
@any_conversation
def test_tool_names_map_back(conversation: Conversation) -> None:
    """The client's names of the declared tools come back, and so do those of the tool uses, in their order."""
    request = build(conversation)
    state = read_state(request)
    to_client = request.tool_names.to_client
    declared = {tool.name for tool in conversation.tools}
    if conversation.tool_choice.mode is ToolChoiceMode.NONE:
        declared = set()
    used = [block.name for block in iter_blocks(conversation) if isinstance(block, ToolUse)]
    context = state["currentMessage"]["userInputMessage"].get("userInputMessageContext", {})
    upstream_names = [tool["toolSpecification"]["name"] for tool in context.get("tools", [])]
    assert {to_client(name) for name in upstream_names} == declared | set(used)
    uses = [entry for message in state.get("history", []) for entry in iter_uses(message)]
    assert list(dict.fromkeys(to_client(entry["name"]) for entry in uses)) == list(dict.fromkeys(used))


@given(conversations())
@any_conversation
def test_no_text_is_lost(conversation: Conversation) -> None:
    """Each text of the client stands in the body as it is, save reasoning and what is blank."""
    strings = list(iter_strings(read_state(build(conversation))))
    expected = [*conversation.system, *iter_texts(conversation)]
    lost = [text for text in expected if text.strip() and not any(text in string for string in strings)]
    assert lost == []


@given(conversations(), user_turns(), assistant_turns(), user_turns())
@any_conversation
def test_requests_of_a_growing_conversation_share_their_beginning(
    conversation: Conversation, end: UserTurn, answer: AssistantTurn, next_end: UserTurn
) -> None:
    """The messages of one request are the first messages of the next one, but for the declarations of tools."""
    choice = ToolChoice(parallel=conversation.tool_choice.parallel)
    before = replace(conversation, turns=(*conversation.turns, end), tool_choice=choice)
    after = replace(before, turns=(*before.turns, answer, next_end))
    messages = read_messages(build(before))
    assert read_messages(build(after))[: len(messages)] == messages


@given(conversations(), turn_lists(), tool_choices())
@any_conversation
def test_what_was_sent_before_stays_the_beginning(
    conversation: Conversation, more: tuple[UserTurn | AssistantTurn, ...], choice: ToolChoice
) -> None:
    """However the conversation goes on, and whatever a later turn demands, the history of a request is the beginning.

    Only an answer that the client itself had begun is one message with its beginning, once it is there.
    """
    if conversation.turns and isinstance(conversation.turns[-1], AssistantTurn):
        more = tuple(dropwhile(lambda turn: isinstance(turn, AssistantTurn), more))
    parallel = conversation.tool_choice.parallel
    after = replace(conversation, turns=(*conversation.turns, *more), tool_choice=replace(choice, parallel=parallel))
    history = read_state(build(conversation)).get("history", [])
    assert read_state(build(after)).get("history", [])[: len(history)] == history


def linked_schemas() -> st.SearchStrategy[JSONObject]:
    """Schemas whose parts refer to each other, to the whole, to nothing and elsewhere."""
    targets = ["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/$defs/a/anyOf/0", "#/$defs/x", "https://a.b/c", "#x"]
    links = st.sampled_from(targets).map(_link)
    leaves: st.SearchStrategy[JSON] = links | st.booleans() | st.none()
    names = st.sampled_from(["a", "b"])
    keywords = st.sampled_from(["items", "not", "additionalProperties", "$ref"])
    parts = st.recursive(
        leaves, lambda inner: st.dictionaries(keywords, inner, max_size=2) | _branch(inner), max_leaves=8
    )
    maps = st.dictionaries(names, parts, max_size=2)
    return st.fixed_dictionaries({"$defs": maps, "properties": maps})


def _link(target: str) -> JSON:
    return {"$ref": target}


def _branch(inner: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    branches: st.SearchStrategy[JSON] = st.fixed_dictionaries({"anyOf": st.lists(inner, max_size=2)})
    properties = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return branches | st.fixed_dictionaries({"properties": properties})


@given(linked_schemas())
@any_conversation
def test_schemas_refer_to_nothing(schema: JSONObject) -> None:
    """Neither with mild cleaning nor with the simplest schemas, both of which the upstream takes."""
    tool = Tool(name="f", description="F.", input_schema=schema)
    request = build(Conversation(model="m", turns=(), tools=(tool,)))
    simple = simplify_schemas(request) or request
    for sent in (request, simple):
        assert validate_request(sent.encode(profile_arn=PROFILE_ARN)) is None
        assert b'"$ref"' not in sent.conversation_state
        assert b'"$defs"' not in sent.conversation_state
    assert validate_request(simple.encode(profile_arn=PROFILE_ARN), strict=True) is None
    assert not any(word in simple.conversation_state for word in (b'"anyOf"', b'"not"', b'"additionalProperties"'))


@given(conversations(), st.sampled_from(["a", "b" * 36]))
@any_conversation
def test_same_conversation_gives_same_bytes(conversation: Conversation, conversation_id: str) -> None:
    """The body is a function of its arguments."""
    first, second = (build(conversation, conversation_id).encode(profile_arn=None) for _ in range(2))
    assert first == second


def build(conversation: Conversation, conversation_id: str = "conversation-1") -> UpstreamRequest:
    """The request, with a low bound on descriptions."""
    return build_request(
        conversation,
        model_id="claude-sonnet-4.5",
        conversation_id=conversation_id,
        max_tool_description_length=150,
    )


def read_state(request: UpstreamRequest) -> Any:  # noqa: ANN401 - the tests walk through plain JSON
    """The conversation state as plain values."""
    return msgspec.json.decode(request.encode(profile_arn=None))["conversationState"]


def read_messages(request: UpstreamRequest) -> list[Any]:
    """All messages in their order, the current one without its tools."""
    state = read_state(request)
    current = state["currentMessage"]
    context = current["userInputMessage"].get("userInputMessageContext", {})
    context.pop("tools", None)
    if not context:
        current["userInputMessage"].pop("userInputMessageContext", None)
    return [*state.get("history", []), current]


def iter_uses(message: Any) -> Iterable[Any]:  # noqa: ANN401 - the same
    """The tool uses of a message."""
    entries: list[Any] = message.get("assistantResponseMessage", {}).get("toolUses", [])
    return entries


def iter_blocks(conversation: Conversation) -> Iterator[object]:
    """All blocks of the conversation."""
    for turn in conversation.turns:
        yield from turn.blocks


def iter_texts(conversation: Conversation) -> Iterator[str]:
    """The texts in blocks and in results, and the strings in tool inputs."""
    for block in iter_blocks(conversation):
        match block:
            case Text(text=text):
                yield text
            case ToolResult(content=content):
                yield from (item.text for item in content if isinstance(item, Text))
            case ToolUse(input=tool_input):
                yield from iter_strings(tool_input)
            case _:
                pass


def iter_strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - the same
    """All strings in a JSON value, keys apart."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from iter_strings(item)
        case dict():
            for item in value.values():
                yield from iter_strings(item)
        case _:
            pass
