"""What the simulated service refuses: the rules by name, and the answer that each one brings.

A rule is named after what must hold. Where nothing else is known, the service answers a broken rule with its one
sentence for everything, and the reason ``REQUEST_BODY_INVALID``.
"""

import enum
from dataclasses import dataclass

from kiro2api.errors import ErrorKind, Kiro2ApiError

IMPROPER = "Improperly formed request."


class Rule(enum.StrEnum):
    """Names of the rules for a generate call; all but the first are about its body."""

    MEDIA_TYPE = "media_type"
    BODY_IS_JSON = "body_is_json"
    BODY_IS_OBJECT = "body_is_object"
    NESTING_DEPTH = "nesting_depth"
    NO_UNPAIRED_SURROGATE = "no_unpaired_surrogate"
    NO_SYSTEM_PROMPT = "no_system_prompt"
    NO_AGENT_MODE = "no_agent_mode"
    PROFILE_ARN = "profile_arn"
    CONVERSATION_STATE = "conversation_state"
    CONVERSATION_ID = "conversation_id"
    AGENT_CONTINUATION_ID = "agent_continuation_id"
    AGENT_TASK_TYPE = "agent_task_type"
    CHAT_TRIGGER_TYPE = "chat_trigger_type"
    HISTORY_IS_LIST = "history_is_list"
    CHAT_MESSAGE = "chat_message"
    CURRENT_IS_USER = "current_is_user"
    CONTENT = "content"
    CONTENT_LENGTH = "content_length"
    MODEL_ID_FORM = "model_id_form"
    MODEL_ID_KNOWN = "model_id_known"
    ORIGIN = "origin"
    USER_CONTEXT = "user_context"
    ENV_STATE = "env_state"
    ADDITIONAL_CONTEXT = "additional_context"
    TOOL = "tool"
    TOOL_NAME = "tool_name"
    TOOL_UNIQUE = "tool_unique"
    TOOL_DESCRIPTION = "tool_description"
    TOOL_SCHEMA = "tool_schema"
    TOOL_SCHEMA_REFERENCES = "tool_schema_references"
    TOOL_SCHEMA_PLAIN = "tool_schema_plain"
    """Only of a service that is strict."""
    TOOL_USE = "tool_use"
    TOOL_USE_ID = "tool_use_id"
    TOOL_USE_NAME = "tool_use_name"
    TOOL_USE_INPUT = "tool_use_input"
    TOOL_USE_KEYS = "tool_use_keys"
    TOOL_RESULT = "tool_result"
    TOOL_RESULT_ID = "tool_result_id"
    TOOL_RESULT_STATUS = "tool_result_status"
    TOOL_RESULT_CONTENT = "tool_result_content"
    IMAGE = "image"
    IMAGE_COUNT = "image_count"
    IMAGE_FORMAT = "image_format"
    IMAGE_SOURCE = "image_source"
    IMAGE_BASE64 = "image_base64"
    IMAGE_EMPTY = "image_empty"
    IMAGE_SIZE = "image_size"
    IMAGE_MAGIC = "image_magic"
    MESSAGE_ID = "message_id"
    REASONING = "reasoning"
    REASONING_SIGNATURE = "reasoning_signature"
    ASSISTANT_SAYS_SOMETHING = "assistant_says_something"
    USER_SAYS_SOMETHING = "user_says_something"
    HISTORY_STARTS_WITH_USER = "history_starts_with_user"
    HISTORY_STARTS_WITH_TEXT = "history_starts_with_text"
    HISTORY_ALTERNATES = "history_alternates"
    HISTORY_ENDS_WITH_ASSISTANT = "history_ends_with_assistant"
    TOOL_USES_UNIQUE = "tool_uses_unique"
    RESULTS_FOLLOW_USES = "results_follow_uses"
    RESULTS_COMPLETE = "results_complete"
    RESULTS_KNOWN = "results_known"
    RESULTS_UNIQUE = "results_unique"
    TOOL_DECLARED = "tool_declared"
    MODEL_FIELDS = "model_fields"
    MODEL_FIELDS_SUPPORTED = "model_fields_supported"
    MODEL_FIELDS_KNOWN = "model_fields_known"
    MODEL_FIELDS_EFFORT = "model_fields_effort"
    MODEL_FIELDS_THINKING = "model_fields_thinking"
    MODEL_FIELDS_MAX_TOKENS = "model_fields_max_tokens"


_MISMATCH = (
    "TOOL_USE_RESULT_MISMATCH",
    "Each tool use must be answered by exactly one tool result in the next message.",
)

ANSWERS: dict[Rule, tuple[str, str]] = {
    Rule.BODY_IS_JSON: ("REQUEST_BODY_INVALID_JSON", IMPROPER),
    Rule.CONVERSATION_ID: ("INVALID_CONVERSATION_ID", IMPROPER),
    Rule.CONTENT_LENGTH: ("CONTENT_LENGTH_EXCEEDS_THRESHOLD", "Input is too long."),
    Rule.MODEL_ID_KNOWN: (
        "INVALID_MODEL_ID",
        "Invalid model ID. Please select a different model to continue.",
    ),
    Rule.TOOL_UNIQUE: ("TOOL_DUPLICATE", "Tool names must be unique."),
    Rule.TOOL_SCHEMA: (
        "TOOL_SCHEMA_INVALID",
        "toolSpecification.inputSchema.json.type must be one of the following: object",
    ),
    Rule.TOOL_SCHEMA_REFERENCES: ("TOOL_SCHEMA_INVALID", IMPROPER),
    Rule.TOOL_SCHEMA_PLAIN: ("TOOL_SCHEMA_INVALID", IMPROPER),
    Rule.TOOL_DECLARED: (
        "TOOL_CONFIG_MISSING",
        "Tools must be declared when the conversation holds tool uses or tool results.",
    ),
    Rule.IMAGE_COUNT: ("IMAGE_COUNT_EXCEEDED", "Too many images."),
    Rule.IMAGE_FORMAT: ("IMAGE_FORMAT_UNSUPPORTED", "The image format is not supported."),
    Rule.IMAGE_SIZE: ("IMAGE_SIZE_EXCEEDED", "The image is too large."),
    Rule.IMAGE_MAGIC: ("IMAGE_MIME_MISMATCH", "The image does not have the declared format."),
    Rule.REASONING_SIGNATURE: ("THINKING_SIGNATURE_INVALID", "Invalid signature in thinking."),
    Rule.TOOL_USES_UNIQUE: _MISMATCH,
    Rule.RESULTS_FOLLOW_USES: _MISMATCH,
    Rule.RESULTS_COMPLETE: _MISMATCH,
    Rule.RESULTS_KNOWN: _MISMATCH,
    Rule.RESULTS_UNIQUE: _MISMATCH,
    Rule.MODEL_FIELDS_SUPPORTED: (
        "REQUEST_BODY_INVALID",
        "additionalModelRequestFields is not supported for this model",
    ),
}
"""Reason and message of the rules that have their own; the messages' wording is the service's where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The answer to a request that breaks a rule."""

    status: int
    message: str
    reason: str | None
    rule: str


class RefusedError(Kiro2ApiError):
    """A request breaks ``rule``; never leaves the checks."""

    kind = ErrorKind.BAD_REQUEST

    def __init__(self, rule: Rule, message: str | None = None) -> None:
        reason, usual = ANSWERS.get(rule, ("REQUEST_BODY_INVALID", IMPROPER))
        super().__init__(message or usual, detail=rule)
        self.refusal = Refusal(status=400, message=message or usual, reason=reason, rule=rule)
