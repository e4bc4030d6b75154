"""Reasoning of earlier turns in the upstream's request."""

import json

import pytest

from kiro2api.protocol.conversation import AssistantBlock, Conversation, RedactedThinking, Thinking
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.kiro.request import UpstreamRequest, build_request
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.simulator.reasoning import sign_thought
from kiro2api.simulator.validation import validate_request
from tests.support.conversations import assistant, user

MODEL = "claude-opus-4.6"
ORIGIN = build_origin(credential_id="a", model_id=MODEL)
OTHER = build_origin(credential_id="b", model_id=MODEL)
SIGNATURE = sign_thought("hm", MODEL)
OWN = Thinking(text="hm", signature=mark(SIGNATURE, ORIGIN))


def build(*blocks: AssistantBlock | str, origin: str | None = ORIGIN) -> UpstreamRequest:
    """A request with one earlier turn of the model."""
    turns = (user("Hi"), assistant(*blocks), user("So?"))
    return build_request(
        Conversation(model="m", turns=turns),
        model_id=MODEL,
        conversation_id="c",
        max_tool_description_length=100,
        replay_origin=origin,
    )


def read_reasoning(request: UpstreamRequest) -> object:
    """What the earlier turn has of it."""
    return json.loads(request.conversation_state)["history"][1]["assistantResponseMessage"].get("reasoningContent")


@pytest.mark.parametrize(
    ("blocks", "origin", "reasoning"),
    [
        ((OWN, "yes"), ORIGIN, {"reasoningText": {"text": "hm", "signature": SIGNATURE}}),
        ((RedactedThinking(data=mark("eHg=", ORIGIN)), "yes"), ORIGIN, {"redactedContent": "eHg="}),
        ((OWN, "yes"), None, None),
        ((OWN, "yes"), OTHER, None),
        ((OWN, OWN, "yes"), ORIGIN, None),
        ((Thinking(text="hm", signature=SIGNATURE), "yes"), ORIGIN, None),
        ((Thinking(text="hm"), "yes"), ORIGIN, None),
        ((RedactedThinking(data="eHg="), "yes"), ORIGIN, None),
    ],
)
def test_only_what_is_proven_is_replayed(
    blocks: tuple[AssistantBlock | str, ...], origin: str | None, reasoning: object
) -> None:
    """As it came, from the same origin, one piece; all else is left out and noted. The service takes both."""
    request = build(*blocks, origin=origin)
    assert read_reasoning(request) == reasoning
    assert request.repairs == (() if reasoning else ("dropped_thinking",))
    assert validate_request(request.encode(profile_arn=None)) is None


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "additionalModelRequestFields is not supported for this model", True),
        (400, "property 'thinking' is not defined in the schema", True),
        (400, "Improperly formed request.", False),
        (500, "additionalModelRequestFields", False),
    ],
)
def test_faults_that_name_the_fields(status: int, message: str, *, expected: bool) -> None:
    """A refusal says in words that it is about them."""
    fault = UpstreamFaultError(FaultReport(status=status, message=message))
    assert fault.names_model_fields is expected


def test_fields_stand_beside_the_conversation() -> None:
    """None, or an empty object, is no member at all."""
    request = build("yes")
    fields = json.loads(request.encode(profile_arn=None, model_fields={"max_tokens": 2000}))
    assert fields["additionalModelRequestFields"] == {"max_tokens": 2000}
    assert set(json.loads(request.encode(profile_arn=None, model_fields={}))) == {"conversationState"}
