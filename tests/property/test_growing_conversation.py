"""What a conversation has said to the upstream is the beginning of what it says next, byte for byte.

The upstream need not read a beginning again that it knows. What was said is the history of a request: its current
message bears the tools and what goes for one turn alone, and is part of the history only from the next request on.
"""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    RedactedThinking,
    Thinking,
    ThinkingChoice,
    ThinkingMode,
    Tool,
    ToolChoice,
    UserTurn,
)
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.signatures import build_origin, mark
from tests.support.conversations import (
    assistant,
    assistant_turns,
    conversations,
    picture,
    result,
    tool_choices,
    use,
    user,
    user_turns,
)
from tests.support.dialects import DIALECTS, Dialect

MODELS = ("claude-sonnet-4-5", "claude-opus-4-6")
"""One that thinks between tags, and one whose thoughts are signed."""
CREDENTIAL_ID = "a"
OTHER_CREDENTIAL_ID = "b"


class _State(msgspec.Struct, rename="camel"):
    history: list[msgspec.Raw] = []


class _Body(msgspec.Struct, rename="camel"):
    conversation_state: _State


def list_history(conversation: Conversation, *, credential_id: str = CREDENTIAL_ID) -> list[bytes]:
    """The messages before the current one, as they go over the wire."""
    exchange = Exchange(
        conversation=conversation,
        model=Catalog({}).resolve(conversation.model),
        conversation_id="c-1",
        new_renderer=lambda: FoldRenderer(lambda _answer: b""),
        max_tool_description_length=150,
    )
    exchange.begin_attempt(credential_id=credential_id)
    body = msgspec.json.decode(exchange.encode_request(profile_arn=None), type=_Body)
    return [bytes(message) for message in body.conversation_state.history]


def thoughts() -> st.SearchStrategy[Thinking | RedactedThinking]:
    """What the second model thought for the credential, and what cannot be replayed."""
    origin = build_origin(credential_id=CREDENTIAL_ID, model_id="claude-opus-4.6")
    own: list[Thinking | RedactedThinking] = [
        Thinking(text="hm", signature=mark("c2ln", origin)),
        RedactedThinking(data=mark("eHg=", origin)),
        Thinking(text="hm"),
    ]
    return st.sampled_from(own)


@st.composite
def answers(draw: st.DrawFn) -> AssistantTurn:
    """Turns of the model, often with reasoning before the rest."""
    turn = draw(assistant_turns())
    before = tuple(draw(st.lists(thoughts(), max_size=1)))
    return AssistantTurn(blocks=before + turn.blocks)


@given(
    start=conversations(),
    model=st.sampled_from(MODELS),
    rounds=st.lists(st.tuples(answers(), st.lists(user_turns(), min_size=1, max_size=2), tool_choices()), max_size=4),
)
def test_each_request_begins_with_what_was_said(
    start: Conversation, model: str, rounds: list[tuple[AssistantTurn, list[UserTurn], ToolChoice]]
) -> None:
    """Turn by turn, whatever is said, used, seen and thought, and whatever each turn demands of the use of tools."""
    parallel = start.tool_choice.parallel
    conversation = replace(start, model=model, turns=(*start.turns, user("Go.")))
    before = list_history(conversation)
    for answer, said, choice in rounds:
        turns = (*conversation.turns, answer, *said)
        conversation = replace(conversation, turns=turns, tool_choice=replace(choice, parallel=parallel))
        after = list_history(conversation)
        assert after[: len(before)] == before
        assert len(after) > len(before)
        before = after


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(data=st.data())
def test_any_beginning_of_a_body_says_the_beginning(dialect: Dialect, data: st.DataObject) -> None:
    """Of a client's body with fewer messages, in each dialect, wherever it is the model's turn to speak."""
    body = data.draw(dialect.bodies)
    more = data.draw(dialect.bodies).get(dialect.says)
    body[dialect.says] = [item for part in (body.get(dialect.says), more) if isinstance(part, list) for item in part]
    body[dialect.says] = [item for item in body[dialect.says] if item.get("type") != "additional_tools"]
    if not body[dialect.says] or dialect.mend(body) is None:
        return
    before: list[bytes] = []
    for end in range(1, len(body[dialect.says]) + 1):
        shorter = dialect.read(body | {dialect.says: body[dialect.says][:end]})
        if isinstance(shorter, Conversation) and isinstance(shorter.turns[-1], UserTurn):
            after = list_history(shorter)
            assert after[: len(before)] == before
            before = after


LONG = Tool(name="read", description="Reads. " * 30, input_schema={"type": "object"})
SHORT = Tool(name="read", description="Reads.", input_schema={"type": "object"})
TALK = Conversation(
    model="claude-sonnet-4-5",
    turns=(user("Hi", picture()), assistant("Yes?", use("1", "read")), user(result("1", "words"))),
    system=("Be brief.",),
    tools=(SHORT,),
)
THINKING = ThinkingChoice(mode=ThinkingMode.ENABLED, budget=2000)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(TALK, system=("Be verbose.",)), id="system prompt"),
        pytest.param(replace(TALK, tools=(LONG,)), id="description too long for its place"),
        pytest.param(replace(TALK, tools=(replace(SHORT, name="READ"),)), id="name that an earlier call collides with"),
        pytest.param(replace(TALK, tool_choice=ToolChoice(parallel=False)), id="one tool at a time"),
        pytest.param(replace(TALK, thinking=THINKING), id="thinking between tags"),
    ],
)
def test_what_stands_before_the_first_words_changes_the_beginning(changed: Conversation) -> None:
    """By design: these stand in the first message, or name what is called in later ones."""
    assert list_history(changed)[:2] != list_history(TALK)[:2]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(TALK, tools=(SHORT, replace(SHORT, name="write"))), id="another tool"),
        pytest.param(replace(TALK, tools=(replace(SHORT, description="Reads files."),)), id="another description"),
        pytest.param(replace(TALK, max_tokens=5, stop_sequences=("x",), session_id="s"), id="limits and names"),
        pytest.param(replace(TALK, model="claude-haiku-4-5", thinking=ThinkingChoice()), id="nothing of the kind"),
    ],
)
def test_what_stands_elsewhere_does_not(changed: Conversation) -> None:
    """But for the model, whose id each of the user's messages bears."""
    names = ("claude-haiku-4.5", "claude-sonnet-4.5")
    expected = [message.replace(names[1].encode(), b"M") for message in list_history(TALK)]
    assert [
        message.replace(names[0].encode(), b"M").replace(names[1].encode(), b"M") for message in list_history(changed)
    ] == expected


def test_reasoning_changes_the_beginning_with_the_credential() -> None:
    """By design: it is replayed to the account that it came from, and to no other one."""
    origin = build_origin(credential_id=CREDENTIAL_ID, model_id="claude-opus-4.6")
    thought = Thinking(text="hm", signature=mark("c2ln", origin))
    talk = Conversation(model="claude-opus-4-6", turns=(user("Hi"), assistant(thought, "Yes?"), user("No.")))
    first, answer = list_history(talk)
    assert list_history(talk, credential_id=OTHER_CREDENTIAL_ID)[0] == first
    assert list_history(talk, credential_id=OTHER_CREDENTIAL_ID)[1] != answer


def test_an_answer_that_the_client_began_changes_with_its_end() -> None:
    """By design: it is one message with its end, once that is there."""
    begun = Conversation(model=MODELS[0], turns=(user("Hi"), assistant("I")))
    whole = replace(begun, turns=(*begun.turns, assistant("am"), user("So?")))
    assert list_history(whole)[0] == list_history(begun)[0]
    assert list_history(whole)[1] != list_history(begun)[1]
