"""Requests of clients in the three dialects: all that the schemas allow, sane or not, as hypothesis strategies."""

import base64
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kiro2api.protocol.anthropic.schema import MessagesBody
from kiro2api.protocol.conversation import RedactedThinking, Thinking
from kiro2api.protocol.jsontext import MAX_DEPTH
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.protocol.openai.schema import ChatBody
from kiro2api.protocol.responses.reasoning import build_encrypted_content
from kiro2api.protocol.responses.schema import ResponsesBody
from kiro2api.simulator.reasoning import sign_thought
from tests.support.conversations import IDS, MAGIC, NAMES, json_values, nest
from tests.support.schema_bodies import Bodies, Strategy

MODELS = ("claude-sonnet-4-5", *["claude-opus-4-6"] * 4, "claude-opus-4-7", "claude-opus-5-5", "gpt-5.6-sol", "auto")
"""With and without reasoning of their own, and of every kind of that."""
CREDENTIAL_IDS = ("a", "b")

THOUGHT = "hello"
"""What the simulated service's signatures are for."""

_KNOWN_IDS = ("toolu_1", "call_1", "call_2", "rs_1", "fc_1")
_PICTURES = [base64.b64encode(magic + b"\0\0").decode() for magic in MAGIC.values()]
_CONVERTIBLE = [base64.b64encode(data).decode() for data in (b"BM" + bytes(20), b"%PDF-1.4 a", b"plain text", b"\xff")]
_BROKEN = ["", "=", "iVBOR", "////", "漢", "%%%"]
_MEDIA_TYPES = ["image/png", "image/jpeg", "image/jpg", "IMAGE/GIF; a=b", "application/pdf", "text/plain", "", "image/"]

_WEIGHTS = {
    **dict.fromkeys(("Block", "Source", "UnknownMessage", "UnknownPart", "UnknownTool", "UnknownToolCall"), 1),
    **dict.fromkeys(("UnknownItem", "ItemReference", "AllowedToolsChoice", "AllowedTools"), 1),
    **dict.fromkeys(("ToolUseBlock", "ToolResultBlock", "FunctionCall", "CallOutput", "FunctionToolCall"), 12),
    **dict.fromkeys(("ThinkingBlock", "Reasoning", "ImageBlock", "ImagePart", "AssistantMessage", "Message"), 8),
}
"""What is refused wherever it stands comes seldom, what the upstream has rules for comes often."""
_PRESENT = {
    "ResponsesBody.input",
    "MessagesBody.thinking",
    "MessagesBody.tools",
    "ChatBody.tools",
    "ResponsesBody.tools",
}


def texts() -> Strategy:
    """Any text; often empty, blank or halved in the middle of a character."""
    some = ["", " ", "\n\t", "\0", "hello", "你好", "half \ud83d", "\udc4d half", "long " * 60, "<thinking>", "{}"]
    return st.sampled_from(some) | st.text(max_size=8)


def names() -> Strategy:
    """Names of tools, which meet and collide often."""
    return st.sampled_from([*["read_file"] * 15, *filter(None, NAMES)]) | st.text(min_size=1, max_size=4)


def ids() -> Strategy:
    """Ids of calls, which meet often."""
    return st.sampled_from([*_KNOWN_IDS, *IDS])


def _pictures() -> Strategy:
    return st.sampled_from([*_PICTURES * 5, *_CONVERTIBLE * 2, *_BROKEN])


def data_urls() -> Strategy:
    """Pictures and files in URLs, and URLs of other kinds."""
    pictures = st.builds("data:{};base64,{}".format, st.sampled_from(_MEDIA_TYPES), _pictures())
    return pictures | pictures | st.sampled_from(["https://a.b/c.png", "data:,x", "data:", "", "data:text/plain,a%20b"])


def objects() -> Strategy:
    """Inputs and schemas of tools: of a few levels, of as many as a body may have, and now and then of more."""
    keys = st.sampled_from(["", "_", "type", "properties", "required", "$schema", "$ref", "anyOf", "path"])
    deep = st.sampled_from([nest(60), nest(80), nest(80), nest(MAX_DEPTH + 1)])
    return st.dictionaries(keys, json_values() | deep, max_size=4)


def json_texts() -> Strategy:
    """The arguments of a call: JSON as text, and what models write in its place."""
    broken = ["", " ", "{", "[1]", "null", '{"a":1}}', '{"a":"\\ud83d"}', "[" * 200, '{"a":NaN}', '{"a":1e999}']
    return objects().map(json.dumps) | st.sampled_from(broken)


def kinds(*known: str) -> Strategy:
    """Types that are known in some place, and some that are known nowhere."""
    return st.sampled_from([*known, "new_kind", "", "\ud83d", "k" * 80, "a.b|c\n"])


def proofs() -> list[Thinking | RedactedThinking]:
    """Reasoning as the simulated service proves it, of several models for several credentials."""
    return [
        thought
        for model_id in ("claude-opus-4.6", "claude-opus-4.7")
        for origin in (build_origin(credential_id=credential_id, model_id=model_id) for credential_id in CREDENTIAL_IDS)
        for thought in (
            Thinking(text=THOUGHT, signature=mark(sign_thought(THOUGHT, model_id), origin)),
            RedactedThinking(data=mark("eHg=", origin)),
        )
    ]


@cache
def messages_bodies() -> Strategy:
    """Bodies of ``POST /v1/messages``."""
    fields: dict[str, Strategy] = {
        **_fix_types("TextBlock", "text"),
        **_fix_types("ImageBlock", "image"),
        **_fix_types("DocumentBlock", "document"),
        **_fix_types("SearchResultBlock", "search_result"),
        **_fix_types("ToolReferenceBlock", "tool_reference"),
        **_fix_types("ToolUseBlock", "tool_use"),
        **_fix_types("ToolResultBlock", "tool_result"),
        **_fix_types("ThinkingBlock", "thinking"),
        **_fix_types("RedactedThinkingBlock", "redacted_thinking"),
        **_fix_types("ServerToolUseBlock", "server_tool_use", "mcp_tool_use"),
        **_fix_types("AsideBlock", "web_search_tool_result", "container_upload", "compaction"),
        **_fix_types("TextSource", "text"),
        **_fix_types("ContentSource", "content"),
        **_fix_types("Base64Source", "base64"),
        "Source.type": kinds("url", "file", "base64"),
        "Block.type": kinds("image", "document", "tool_use", "thinking"),
        "TypedTool.type": kinds("bash_20250124", "text_editor_20250728", "memory_20250818", "web_search_20250305"),
        "MessagesBody.model": st.sampled_from(MODELS),
        "Base64Source.data": _pictures(),
        "media_type": st.sampled_from(_MEDIA_TYPES),
        "thinking": _thinking() | json_values(),
        "ThinkingBlock.thinking": st.sampled_from([*[THOUGHT] * 6, "", "hm \ud83d"]),
        "Message.role": st.sampled_from([*["user", "assistant"] * 4, "system", "developer"]),
        "output_config": st.none() | json_values() | st.fixed_dictionaries({"effort": _efforts()}),
        "signature": _or_forged(proof.signature for proof in proofs() if isinstance(proof, Thinking)),
        "RedactedThinkingBlock.data": _or_forged(
            proof.data for proof in proofs() if isinstance(proof, RedactedThinking)
        ),
        "name": names(),
        "id": ids().filter(bool),
        "tool_use_id": ids().filter(bool),
    }
    return _build(MessagesBody, fields, {})


@cache
def chat_bodies() -> Strategy:
    """Bodies of ``POST /v1/chat/completions``."""
    fields: dict[str, Strategy] = {
        **_fix_types("TextPart", "text"),
        **_fix_types("RefusalPart", "refusal"),
        **_fix_types("ImagePart", "image_url"),
        **_fix_types("FilePart", "file"),
        **_fix_types("FunctionToolCall", "function"),
        **_fix_types("CustomToolCall", "custom"),
        **_fix_types("FunctionTool", "function"),
        **_fix_types("CustomTool", "custom"),
        **_fix_types("FunctionChoice", "function"),
        **_fix_types("CustomChoice", "custom"),
        **_fix_types("AllowedToolsChoice", "allowed_tools"),
        "UnknownPart.type": kinds("input_audio"),
        "UnknownTool.type": kinds("web_search"),
        "UnknownToolCall.type": kinds("mcp"),
        "SystemMessage.role": st.sampled_from(["system", "developer"]),
        "UserMessage.role": st.just("user"),
        "AssistantMessage.role": st.just("assistant"),
        "ToolMessage.role": st.just("tool"),
        "FunctionMessage.role": st.just("function"),
        "UnknownMessage.role": kinds("tools"),
        "ChatBody.model": st.sampled_from(MODELS),
        "ResponseFormat.type": st.sampled_from(["text", "json_object", "json_schema", "new_kind"]),
        "n": _seldom(2),
        "url": data_urls(),
        "file_data": data_urls(),
        "reasoning_effort": _efforts(),
        "arguments": json_texts(),
        "name": names(),
        "id": ids(),
        "tool_call_id": ids(),
    }
    return _build(ChatBody, fields, {"content": texts(), "stop": texts()})


@cache
def responses_bodies() -> Strategy:
    """Bodies of ``POST /v1/responses``."""
    fields: dict[str, Strategy] = {
        **_fix_types("TextPart", "input_text", "output_text", "text", "summary_text", "reasoning_text"),
        **_fix_types("RefusalPart", "refusal"),
        **_fix_types("ImagePart", "input_image"),
        **_fix_types("FilePart", "input_file"),
        **_fix_types("FunctionTool", "function"),
        **_fix_types("CustomTool", "custom"),
        **_fix_types("NamespaceTool", "namespace"),
        **_fix_types("FunctionCall", "function_call"),
        **_fix_types("CustomToolCall", "custom_tool_call"),
        **_fix_types("CallOutput", "function_call_output", "custom_tool_call_output"),
        **_fix_types("ShellCall", "local_shell_call", "shell_call"),
        **_fix_types("ShellOutput", "local_shell_call_output", "shell_call_output", "apply_patch_call_output"),
        **_fix_types("PatchCall", "apply_patch_call"),
        **_fix_types("Reasoning", "reasoning"),
        "Reasoning.summary": st.just([{"type": "summary_text", "text": THOUGHT}]),
        **_fix_types("AdditionalTools", "additional_tools"),
        **_fix_types("NameChoice", "function", "custom"),
        **_fix_types("AllowedTools", "allowed_tools"),
        "Message.type": st.sampled_from(["message", None]),
        "ItemReference.type": st.sampled_from(["item_reference", None]),
        "Message.role": st.sampled_from([*["user", "assistant"] * 8, *["system", "developer"] * 2, "critic"]),
        "UnknownItem.type": kinds("web_search_call", "compaction", "mcp_call"),
        "UnknownPart.type": kinds("input_audio"),
        "UnknownTool.type": kinds("web_search", "mcp"),
        "ResponsesBody.model": st.sampled_from(MODELS),
        "previous_response_id": st.just("resp_1"),
        "background": st.sampled_from([None, False] * 9 + [True]),
        "prompt": _seldom({"id": "p"}),
        "conversation": _seldom("conv_1"),
        "image_url": data_urls(),
        "file_data": data_urls(),
        "encrypted_content": _or_forged(filter(None, map(build_encrypted_content, proofs()))),
        "reasoning": st.none() | json_values() | st.fixed_dictionaries({"effort": _efforts()}),
        "arguments": json_texts(),
        "name": names(),
        "id": ids(),
        "call_id": ids(),
    }
    return _build(ResponsesBody, fields, {"content": texts(), "input": texts(), "CallOutput.output": texts()})


def _build(model: Any, fields: dict[str, Strategy], also: dict[str, Strategy]) -> Strategy:  # noqa: ANN401 - any schema
    return Bodies(
        model,
        fields=fields,
        also=also,
        weights=_WEIGHTS,
        present=_PRESENT,
        texts=texts(),
        values=json_values(),
        objects=objects(),
    ).bodies


def _fix_types(model: str, *kinds_of_it: str) -> dict[str, Strategy]:
    """The types that make a part this member of its union."""
    return {f"{model}.type": st.sampled_from(kinds_of_it)}


def _or_forged(proofs_of_it: Iterable[str]) -> Strategy:
    return st.sampled_from(
        [*list(proofs_of_it) * 3, "c2ln", "", "\ud83d", "kiro.", "kiro.signature.", "kiro.redacted.x"]
    )


def _seldom(value: object, /) -> Strategy:
    """``null`` mostly: with ``value`` there is nothing more to see of a request."""
    return st.sampled_from([None] * 19 + [value])


def _efforts() -> Strategy:
    return st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max", "new", None, 1])


def _thinking() -> Strategy:
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["enabled", "disabled", "adaptive", "new", None])},
        optional={
            "budget_tokens": st.sampled_from([-1, 0, 1, 1024, 10**9, 0.5, None, "1"]),
            "display": st.sampled_from(["summarized", "omitted", "updates", "new", None]),
        },
    )
