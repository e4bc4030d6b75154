"""Whatever a client wants of a model and whatever was thought before, the upstream takes the request."""

import json

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import Catalog, ResolvedModel
from kiro2api.protocol.conversation import (
    Conversation,
    Effort,
    RedactedThinking,
    Thinking,
    ThinkingChoice,
    ThinkingDisplay,
    ThinkingMode,
)
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.reasoning import plan_reasoning
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.simulator.models import LISTED, describe_model_fields, find_model
from kiro2api.simulator.reasoning import sign_thought
from kiro2api.simulator.validation import validate_request
from tests.support.conversations import assistant, json_values, user

IDS = [name for name in LISTED if name != "auto"]


def choices() -> st.SearchStrategy[ThinkingChoice]:
    """Every wish."""
    return st.builds(
        ThinkingChoice,
        mode=st.sampled_from(ThinkingMode),
        budget=st.none() | st.integers(1, 200_000),
        display=st.none() | st.sampled_from(ThinkingDisplay),
        effort=st.none() | st.sampled_from(Effort),
    )


def resolve(model_id: str, *, listed: bool) -> ResolvedModel:
    """The model as it is listed, or as it is known without a list."""
    if not listed:
        return Catalog({}).resolve(model_id)
    model = find_model(model_id)
    schema = None if model is None else describe_model_fields(model)
    return ResolvedModel(
        public_name=model_id,
        upstream_id=model_id,
        context_window=None,
        max_output_tokens=None,
        request_fields_schema=schema,
    )


def thoughts(model_id: str) -> st.SearchStrategy[Thinking | RedactedThinking]:
    """Reasoning of this credential and of another, of another model's, marked and unmarked."""
    origins = st.sampled_from(
        [build_origin(credential_id=name, model_id=of) for name in "ab" for of in (model_id, "other")]
    )
    unmarked: list[Thinking | RedactedThinking] = [
        Thinking(text="hm"),
        Thinking(text="hm", signature="c2ln"),
        RedactedThinking(data="x"),
    ]

    def prove(origin: str) -> list[Thinking | RedactedThinking]:
        signature = mark(sign_thought("hm", model_id), origin)
        return [Thinking(text="hm", signature=signature), RedactedThinking(data=mark("eHg=", origin))]

    return origins.flatmap(lambda origin: st.sampled_from([*prove(origin), *unmarked]))


@given(
    data=st.data(),
    choice=choices(),
    model_id=st.sampled_from(IDS),
    listed=st.booleans(),
    max_tokens=st.none() | st.integers(0, 300_000),
)
def test_the_upstream_takes_every_wish(
    data: st.DataObject, choice: ThinkingChoice, model_id: str, max_tokens: int | None, *, listed: bool
) -> None:
    """Fields within the schema, and no reasoning but that which it signed for this credential and model."""
    said = data.draw(st.lists(thoughts(model_id), max_size=3))
    exchange = Exchange(
        conversation=Conversation(
            model=model_id,
            turns=(user("Hi"), *(turn for thought in said for turn in (assistant(thought, "yes"), user("So?")))),
            thinking=choice,
            max_tokens=max_tokens,
        ),
        model=resolve(model_id, listed=listed),
        conversation_id="c",
        new_renderer=lambda: FoldRenderer(lambda _answer: b""),
        max_tool_description_length=100,
    )
    for credential_id in data.draw(st.permutations(["a", "b"])):
        exchange.begin_attempt(credential_id=credential_id)
        body = exchange.encode_request(profile_arn=None)
        assert validate_request(body) is None
        assert json.loads(body).get("additionalModelRequestFields") != {}


@given(choices(), st.none() | st.integers(0, 300_000), json_values())
def test_any_schema_is_survived(choice: ThinkingChoice, max_tokens: int | None, part: object) -> None:
    """A list that says nonsense costs the wish and not the request."""
    names = ("thinking", "output_config", "reasoning", "max_tokens")
    schema = {"properties": {name: {"properties": {"type": part}, "anyOf": part, "minimum": part} for name in names}}
    plan = plan_reasoning(choice, max_tokens=max_tokens, schema=schema, knows_tags=False)
    assert set(plan.fields) <= set(names)
