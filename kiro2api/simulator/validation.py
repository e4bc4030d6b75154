"""Whether the service would take the body of a generate call.

Written from what is known about the service and from nothing else: the program's own builder of such bodies is tried
against these rules, so they share no code with it. A body's size alone is never refused; the service's limit is not
known well enough.
"""

import json
import re

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.members import (
    check_enum,
    check_length,
    read_list,
    read_matching,
    read_object,
)
from kiro2api.simulator.messages import AssistantMessage, UserMessage, check_message
from kiro2api.simulator.models import check_model_fields
from kiro2api.simulator.reasoning import sign_thought
from kiro2api.simulator.refusals import Refusal, RefusedError, Rule
from kiro2api.simulator.schemas import check_plain_schema
from kiro2api.simulator.structure import check_structure

MAX_NESTING = 127
"""Objects and lists that may stand inside one another, the body included: the service's parser stops at 128."""
MAX_CONVERSATION_ID_CHARS = 128
MAX_PROFILE_ARN_CHARS = 950
CONTINUATION_ID_CHARS = 36

# The service's enum also has DIAGNOSTIC and INLINE_CHAT, for clients of another kind; AUTO is in no model of it.
TRIGGER_TYPES = frozenset({"MANUAL"})
TASK_TYPES = frozenset({"vibe", "spectask"})

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PROFILE_ARN = re.compile(r"arn:aws:(?:codewhisperer|transform):[a-z0-9-]{1,63}:\d{12}:profile/[A-Za-z0-9]{12}")


def validate_request(body: bytes, *, strict: bool = False) -> Refusal | None:
    """How the service refuses ``body``, or ``None`` if it takes it.

    Args:
        body: Of the call.
        strict: Whether the service is one that refuses what only some observers saw refused.
    """
    try:
        current = _check_body(read_object(_parse(body), Rule.BODY_IS_OBJECT))
        for schema in current.tools.values() if strict else ():
            check_plain_schema(schema)
    except RefusedError as error:
        return error.refusal
    return None


def _parse(body: bytes) -> JSON:
    try:
        value: JSON = json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise RefusedError(Rule.NESTING_DEPTH) from None
    except ValueError:
        raise RefusedError(Rule.BODY_IS_JSON) from None
    _check_depth_and_text(value)
    return value


def _refuse_constant(_name: str) -> JSON:
    raise RefusedError(Rule.BODY_IS_JSON)


def _check_depth_and_text(root: JSON) -> None:
    """Nothing is nested too deep, and every string is Unicode; works on a stack of its own, not on Python's."""
    pending: list[tuple[JSON, int]] = [(root, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, dict | list):
            if depth == MAX_NESTING:
                raise RefusedError(Rule.NESTING_DEPTH)
            if isinstance(value, dict):
                _check_text("".join(value))
            items = value.values() if isinstance(value, dict) else value
            pending.extend((item, depth + 1) for item in items)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(Rule.NO_UNPAIRED_SURROGATE) from None


def _check_body(body: JSONObject) -> UserMessage:
    """The current message."""
    if body.get("systemPrompt") is not None:
        raise RefusedError(Rule.NO_SYSTEM_PROMPT)
    # With REST addressing the mode travels in a header.
    if body.get("agentMode") is not None:
        raise RefusedError(Rule.NO_AGENT_MODE)
    if body.get("profileArn") is not None:
        read_matching(body, "profileArn", _PROFILE_ARN, MAX_PROFILE_ARN_CHARS, Rule.PROFILE_ARN)
    state = read_object(body.get("conversationState"), Rule.CONVERSATION_STATE)
    _check_identity(state)
    history = [check_message(entry) for entry in read_list(state, "history", Rule.HISTORY_IS_LIST)]
    current = check_message(state.get("currentMessage"))
    if not isinstance(current, UserMessage):
        raise RefusedError(Rule.CURRENT_IS_USER)
    check_structure(history, current)
    for message in history:
        if isinstance(message, AssistantMessage) and message.thought is not None:
            text, signature = message.thought
            if signature != sign_thought(text, current.model_id):
                raise RefusedError(Rule.REASONING_SIGNATURE)
    check_model_fields(body, current.model)
    return current


def _check_identity(state: JSONObject) -> None:
    bounds = range(1, MAX_CONVERSATION_ID_CHARS + 1)
    check_length(state, "conversationId", bounds, Rule.CONVERSATION_ID)
    if state.get("agentContinuationId") is not None:
        read_matching(
            state,
            "agentContinuationId",
            _UUID,
            CONTINUATION_ID_CHARS,
            Rule.AGENT_CONTINUATION_ID,
        )
    check_enum(state, "agentTaskType", TASK_TYPES, Rule.AGENT_TASK_TYPE)
    if state.get("chatTriggerType") is None:
        raise RefusedError(Rule.CHAT_TRIGGER_TYPE)
    check_enum(state, "chatTriggerType", TRIGGER_TYPES, Rule.CHAT_TRIGGER_TYPE)
