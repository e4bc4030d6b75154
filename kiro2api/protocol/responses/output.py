"""What a model says, as the items of a response, and the response around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from kiro2api.protocol.conversation import AssistantBlock, AssistantTurn, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.responses.errors import Failure
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.reasoning import build_encrypted_content
from kiro2api.protocol.responses.tools import CUSTOM_INPUT, ToolForm, ToolKind
from kiro2api.protocol.responses.typed_tools import build_exec_action, build_patch_operation, build_shell_action
from kiro2api.protocol.turn import Answer, StopReason, TurnEnded
from kiro2api.protocol.usage import Usage

RESPONSE_ID_PREFIX = "resp_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """What is known of a response before the model has said anything."""

    response_id: str
    """Begins with :data:`RESPONSE_ID_PREFIX`; the ids of the items are made from the rest."""
    created_at: int
    """Unix time in seconds."""
    model: str
    """As the client spelled it."""
    settings: JSONObject
    """What the response repeats of the request."""
    forms: Mapping[str, ToolForm]
    """By the name under which the model sees a tool."""

    def select_form(self, name: str) -> ToolForm:
        """How a call of the tool is put; one that the client has not listed is a function."""
        return self.forms.get(name) or ToolForm(kind=ToolKind.FUNCTION, name=name)

    def build_item_id(self, block: AssistantBlock, index: int) -> str:
        """The id of the item that ``block`` becomes, which is the one at ``index``."""
        match block:
            case Text():
                prefix = "msg"
            case Thinking() | RedactedThinking():
                prefix = "rs"
            case ToolUse(name=name):
                prefix = _CALL_PREFIXES[self.select_form(name).kind]
            case _:
                assert_never(block)
        return f"{prefix}_{self.response_id.removeprefix(RESPONSE_ID_PREFIX)}_{index}"


_CALL_PREFIXES = {
    ToolKind.FUNCTION: "fc",
    ToolKind.CUSTOM: "ctc",
    ToolKind.LOCAL_SHELL: "lsh",
    ToolKind.SHELL: "sh",
    ToolKind.APPLY_PATCH: "apc",
}


def build_item(head: ResponseHead, block: AssistantBlock, index: int, *, arguments: str | None = None) -> JSONObject:
    """The whole item that ``block`` becomes.

    Args:
        head: The response's.
        block: What the model said.
        index: Of the item in the output.
        arguments: A function call's, where the client has seen their text already.
    """
    item_id = head.build_item_id(block, index)
    match block:
        case Text(text=text):
            return _build_message(item_id, "completed", [build_text_part(text)])
        case Thinking() | RedactedThinking():
            return _build_reasoning(item_id, block)
        case ToolUse():
            text = encode_json(block.input).decode() if arguments is None else arguments
            return _build_call(head.select_form(block.name), item_id, "completed", block, arguments=text)
        case _:
            assert_never(block)


def build_opening_item(head: ResponseHead, block: AssistantBlock, index: int) -> JSONObject:
    """The item at its beginning, of which no more is known than what is in ``block``."""
    item_id = head.build_item_id(block, index)
    match block:
        case Text():
            return _build_message(item_id, "in_progress", [])
        case Thinking() | RedactedThinking():
            return _build_reasoning(item_id, block)
        case ToolUse():
            return _build_call(head.select_form(block.name), item_id, "in_progress", block, arguments="")
        case _:
            assert_never(block)


def build_refusal_item(head: ResponseHead, explanation: str, index: int) -> JSONObject:
    """The message at ``index`` that says why there is no other."""
    item_id = head.build_item_id(Text(text=""), index)
    return _build_message(item_id, "completed", [build_refusal_part(explanation)])


def build_refusal_part(explanation: str) -> JSONObject:
    """The one part of a message that explains a refusal."""
    return {"type": "refusal", "refusal": explanation}


def build_text_part(text: str) -> JSONObject:
    """The one part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def build_summary_part(text: str) -> JSONObject:
    """The one part of a reasoning item."""
    return {"type": "summary_text", "text": text}


def read_custom_input(tool_input: JSONObject) -> str:
    """The free text that the model gave a custom tool, under another name than it should at times."""
    match tool_input:
        case {"input": str() as text}:
            return text
        case _ if not tool_input:
            return ""
        case _:
            values = list(tool_input.values())
            only = values[0] if len(values) == 1 else None
            return only if isinstance(only, str) else encode_json(tool_input).decode()


def build_response(
    head: ResponseHead, output: Sequence[JSONObject], outcome: Answer | TurnEnded | Failure | None = None
) -> JSONObject:
    """The response as it stands.

    Args:
        head: Its head.
        output: Its items that are whole.
        outcome: How it ended; ``None`` while it goes on.
    """
    status, incomplete = "in_progress", None
    error: JSON = None
    usage: JSON = None
    match outcome:
        case Failure(code=code, message=message):
            status, error = "failed", {"code": code, "message": message}
        case Answer(stop_reason=stop_reason) | TurnEnded(stop_reason=stop_reason):
            incomplete, usage = _explain_incompleteness(stop_reason), build_usage(outcome.usage)
            status = "completed" if incomplete is None else "incomplete"
        case None:
            pass
        case _:
            assert_never(outcome)
    return {
        "id": head.response_id,
        "object": "response",
        "created_at": head.created_at,
        "status": status,
        "error": error,
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "model": head.model,
        "output": [*output],
        **head.settings,
        "usage": usage,
    }


def build_usage(usage: Usage) -> JSONObject:
    """The counts; clients want all of them, so what the upstream does not say is 0 in the details."""
    return {
        "input_tokens": usage.total_input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_input_tokens + usage.output_tokens,
    }


def render_token_count(input_tokens: int) -> bytes:
    """The body that answers how many tokens a request has."""
    return encode_json({"object": "response.input_tokens", "input_tokens": input_tokens})


def render_deletion(response_id: str) -> bytes:
    """The body that says that a response is no longer kept."""
    return encode_json({"id": response_id, "object": "response", "deleted": True})


def extend_history(history: History, answer: Answer, head: ResponseHead) -> History:
    """``history`` with the answer, whose items go by the ids that the client has got."""
    items = {head.build_item_id(block, index): block for index, block in enumerate(answer.blocks)}
    turn = (AssistantTurn(blocks=answer.blocks),) if answer.blocks else ()
    return replace(history, turns=(*history.turns, *turn), items=items)


def _explain_incompleteness(reason: StopReason) -> str | None:
    """Why the answer is not all that the model would have said; ``None`` if it is."""
    match reason:
        case StopReason.END_TURN | StopReason.STOP_SEQUENCE | StopReason.PAUSE_TURN | StopReason.TOOL_USE:
            return None
        case StopReason.MAX_TOKENS | StopReason.CONTEXT_WINDOW:
            return "max_output_tokens"
        case StopReason.REFUSAL:
            return "content_filter"
        case _:
            assert_never(reason)


def _build_message(item_id: str, status: str, content: list[JSON]) -> JSONObject:
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": content}


def _build_reasoning(item_id: str, block: Thinking | RedactedThinking) -> JSONObject:
    text = block.text if isinstance(block, Thinking) else ""
    summary: list[JSON] = [build_summary_part(text)] if text else []
    item: JSONObject = {"type": "reasoning", "id": item_id, "summary": summary}
    encrypted = build_encrypted_content(block)
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def _build_call(form: ToolForm, item_id: str, status: str, tool_use: ToolUse, *, arguments: str) -> JSONObject:
    head: JSONObject = {"id": item_id, "status": status, "call_id": tool_use.tool_use_id}
    named: JSONObject = {**head, "name": form.name}
    if form.namespace is not None:
        named["namespace"] = form.namespace
    match form.kind:
        case ToolKind.FUNCTION:
            return {"type": "function_call", **named, "arguments": arguments}
        case ToolKind.CUSTOM:
            return {"type": "custom_tool_call", **named, CUSTOM_INPUT: read_custom_input(tool_use.input)}
        case ToolKind.LOCAL_SHELL:
            return {"type": "local_shell_call", **head, "action": build_exec_action(tool_use.input)}
        case ToolKind.SHELL:
            return {"type": "shell_call", **head, "action": build_shell_action(tool_use.input), "environment": None}
        case ToolKind.APPLY_PATCH:
            return {"type": "apply_patch_call", **head, "operation": build_patch_operation(tool_use.input)}
        case _:
            assert_never(form.kind)
