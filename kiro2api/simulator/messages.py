"""Rules for one message of a conversation, whatever stands around it."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.images import check_images
from kiro2api.simulator.members import (
    check_enum,
    check_length,
    read_list,
    read_matching,
    read_object,
    read_optional_object,
    read_string,
    read_union,
)
from kiro2api.simulator.models import MODELS, Model, find_model
from kiro2api.simulator.refusals import RefusedError, Rule
from kiro2api.simulator.tools import ToolUse, check_tool_results, check_tool_uses, check_tools

MAX_CONTENT_CHARS = 10_000_000
"""Characters of one message's text, as the service's model says."""
MAX_MODEL_ID_CHARS = 1024
MAX_MESSAGE_ID_CHARS = 128
MAX_DIRECTORY_CHARS = 256
MAX_ENVIRONMENT_VARIABLES = 100
MAX_ADDITIONAL_CONTEXTS = 20
MAX_INNER_CONTEXT_CHARS = 8192
MAX_TIMEZONE_OFFSET = 1440
"""Minutes, to either side."""

# KIRO_IDE is in neither of the service's models, whatever the name suggests.
ORIGINS = frozenset(
    {
        "AI_EDITOR",
        "KIRO_CLI",
        "CLI",
        "IDE",
        "CHATBOT",
        "CONSOLE",
        "DOCUMENTATION",
        "GITLAB",
        "INLINE_CHAT",
        "KIRO_WEB",
        "MARKETING",
        "MD",
        "MD_CE",
        "MD_IDE",
        "MOBILE",
        "OPENSEARCH_DASHBOARD",
        "Q_DEV_BEXT",
        "SAGE_MAKER",
        "SERVICE_INTERNAL",
        "SM_AI_STUDIO_IDE",
        "UNIFIED_SEARCH",
        "UNKNOWN",
    }
)
SYSTEMS = frozenset({"macos", "linux", "windows"})

AUTO = "auto"
_MODEL_ID = re.compile(r"[A-Za-z0-9_:.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """What the structure of a conversation has to know of a user's message."""

    has_text: bool
    model: Model
    model_id: str
    """``auto`` when the service is to choose."""
    tools: Mapping[str, JSONObject]
    """Schemas by folded names."""
    result_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage:
    """What the structure of a conversation has to know of an assistant's message."""

    tool_uses: tuple[ToolUse, ...]
    thought: tuple[str, str] | None = None
    """Text and signature of readable reasoning."""


def check_message(value: JSON) -> UserMessage | AssistantMessage:
    """One entry of the history, or the current message."""
    known = {"userInputMessage", "assistantResponseMessage"}
    key, member = read_union(value, known, Rule.CHAT_MESSAGE)
    message = read_object(member, Rule.CHAT_MESSAGE)
    return _check_user(message) if key == "userInputMessage" else _check_assistant(message)


def _check_user(message: JSONObject) -> UserMessage:
    content = _check_content(message)
    check_enum(message, "origin", ORIGINS, Rule.ORIGIN)
    check_images(message)
    context = read_optional_object(message, "userInputMessageContext", Rule.USER_CONTEXT)
    _check_env_state(read_optional_object(context, "envState", Rule.ENV_STATE))
    _check_additional_context(context)
    user = UserMessage(
        has_text=bool(content.strip()),
        model=_check_model(message),
        model_id=str(message.get("modelId") or AUTO),
        tools=check_tools(context),
        result_ids=check_tool_results(context),
    )
    if not user.has_text and not user.result_ids:
        raise RefusedError(Rule.USER_SAYS_SOMETHING)
    return user


def _check_assistant(message: JSONObject) -> AssistantMessage:
    content = _check_content(message)
    check_length(message, "messageId", range(MAX_MESSAGE_ID_CHARS + 1), Rule.MESSAGE_ID)
    reasons = message.get("reasoningContent") is not None
    thought = _check_reasoning(message["reasoningContent"]) if reasons else None
    tool_uses = check_tool_uses(message)
    if not content.strip() and not tool_uses and not reasons:
        raise RefusedError(Rule.ASSISTANT_SAYS_SOMETHING)
    return AssistantMessage(tool_uses=tool_uses, thought=thought)


def _check_content(message: JSONObject) -> str:
    content = read_string(message, "content", Rule.CONTENT)
    if len(content) > MAX_CONTENT_CHARS:
        raise RefusedError(Rule.CONTENT_LENGTH)
    return content


def _check_model(message: JSONObject) -> Model:
    """The model that the message names; the service chooses when it names none."""
    if message.get("modelId") is None:
        return MODELS[AUTO]
    model_id = read_matching(message, "modelId", _MODEL_ID, MAX_MODEL_ID_CHARS, Rule.MODEL_ID_FORM)
    model = find_model(model_id)
    if model is None:
        raise RefusedError(Rule.MODEL_ID_KNOWN)
    return model


def _check_reasoning(value: JSON) -> tuple[str, str] | None:
    """Reasoning is a union, and its text is signed; the signature is checked when the model is known."""
    key, member = read_union(value, {"reasoningText", "redactedContent"}, Rule.REASONING)
    if key == "reasoningText":
        reasoning = read_object(member, Rule.REASONING)
        text = read_string(reasoning, "text", Rule.REASONING)
        return text, read_string(reasoning, "signature", Rule.REASONING_SIGNATURE)
    if not isinstance(member, str):
        raise RefusedError(Rule.REASONING)
    try:
        base64.b64decode(member, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(Rule.REASONING) from None
    return None


def _check_env_state(state: JSONObject) -> None:
    rule = Rule.ENV_STATE
    check_enum(state, "operatingSystem", SYSTEMS, rule)
    check_length(state, "currentWorkingDirectory", range(1, MAX_DIRECTORY_CHARS + 1), rule)
    if len(read_list(state, "environmentVariables", rule)) > MAX_ENVIRONMENT_VARIABLES:
        raise RefusedError(rule)
    offset = state.get("timezoneOffset")
    if offset is None:
        return
    if not isinstance(offset, int) or abs(offset) > MAX_TIMEZONE_OFFSET:
        raise RefusedError(rule)


def _check_additional_context(context: JSONObject) -> None:
    rule = Rule.ADDITIONAL_CONTEXT
    entries = read_list(context, "additionalContext", rule)
    if len(entries) > MAX_ADDITIONAL_CONTEXTS:
        raise RefusedError(rule)
    for entry in entries:
        check_length(read_object(entry, rule), "innerContext", range(MAX_INNER_CONTEXT_CHARS + 1), rule)
