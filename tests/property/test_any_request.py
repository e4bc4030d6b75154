"""Whatever a client sends, in each dialect: the upstream takes what becomes of it, or the client hears of a place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.simulator.validation import validate_request
from tests.support.client_bodies import CREDENTIAL_IDS
from tests.support.dialects import DIALECTS, Dialect
from tests.support.schema_bodies import damaged

PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"
CATALOG = Catalog({})
CHANGED_THOUGHT = "THINKING_SIGNATURE_INVALID"
"""How the upstream refuses reasoning whose signature is real and whose words are not."""

each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def send(conversation: Conversation, data: st.DataObject) -> None:
    """Asserts that the upstream takes it, at the first attempt, with another credential, and after its complaints."""
    exchange = Exchange(
        conversation=conversation,
        model=CATALOG.resolve(conversation.model),
        conversation_id="c-1",
        new_renderer=lambda: FoldRenderer(lambda _answer: b""),
        max_tool_description_length=150,
    )
    for credential_id in data.draw(st.permutations(CREDENTIAL_IDS)):
        exchange.begin_attempt(credential_id=credential_id)
        refusal = validate_request(exchange.encode_request(profile_arn=PROFILE_ARN))
        if refusal is not None and refusal.reason == CHANGED_THOUGHT:
            assert exchange.repair_for(complain(CHANGED_THOUGHT))
            refusal = validate_request(exchange.encode_request(profile_arn=PROFILE_ARN))
        assert refusal is None
    if exchange.repair_for(complain("TOOL_SCHEMA_INVALID")):
        assert validate_request(exchange.encode_request(profile_arn=None)) is None


def complain(reason: str) -> UpstreamFaultError:
    """A refusal as the upstream words it."""
    return UpstreamFaultError(FaultReport(status=400, name="ValidationException", reason=reason))


@each_dialect
@given(data=st.data())
def test_any_body_that_the_schema_takes(dialect: Dialect, data: st.DataObject) -> None:
    """It becomes a body that the upstream takes, whoever sends it, as soon as all is gone that refusals name."""
    conversation = dialect.mend(data.draw(dialect.bodies))
    if conversation is not None:
        send(conversation, data)


@each_dialect
@given(data=st.data())
def test_any_damaged_body(dialect: Dialect, data: st.DataObject) -> None:
    """The same holds with junk, or nothing, in one place."""
    conversation = dialect.mend(data.draw(damaged(dialect.bodies)))
    if conversation is not None:
        send(conversation, data)
