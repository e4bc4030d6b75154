"""Conversations for tests: short spellings of turns, and hypothesis strategies for whatever a client may send."""

import base64

from hypothesis import strategies as st

from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Conversation,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    ToolResult,
    ToolUse,
    UserBlock,
    UserTurn,
)
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON, JSONObject

MAGIC = {
    ImageFormat.PNG: b"\x89PNG\r\n\x1a\n",
    ImageFormat.JPEG: b"\xff\xd8\xff\xe0",
    ImageFormat.GIF: b"GIF89a",
    ImageFormat.WEBP: b"RIFF\x04\x00\x00\x00WEBP",
}

NAMES = (
    "read_file",
    "Read_File",
    "READ_FILE",
    "1-tool",
    "mcp__server__tool",
    "files.read",
    "files/read",
    "Files.Read",
    "天气",
    "",
    " ",
    "n" * 64,
    "n" * 65,
    "N" * 65,
    "mcp__" + "long_server_name_" * 8,
)
"""Legal, illegal, too long, and several that differ in case only."""

IDS = ("toolu_1", "TOOLU_1", "call_2", "call.2", "call|2", "i" * 64, "i" * 65, "", "编号")
"""Few, so that uses and results often meet and often repeat."""


def user(*blocks: UserBlock | str) -> UserTurn:
    """A user's turn; strings stand for texts."""
    return UserTurn(blocks=tuple(Text(text=block) if isinstance(block, str) else block for block in blocks))


def assistant(*blocks: AssistantBlock | str) -> AssistantTurn:
    """A turn of the model; strings stand for texts."""
    return AssistantTurn(blocks=tuple(Text(text=block) if isinstance(block, str) else block for block in blocks))


def use(tool_use_id: str, name: str = "read_file", tool_input: JSONObject | None = None) -> ToolUse:
    """A tool use."""
    return ToolUse(tool_use_id=tool_use_id, name=name, input=tool_input or {})


def result(tool_use_id: str, *content: Text | Image | str, is_error: bool = False) -> ToolResult:
    """A tool result; strings stand for texts."""
    blocks = tuple(Text(text=block) if isinstance(block, str) else block for block in content)
    return ToolResult(tool_use_id=tool_use_id, content=blocks, is_error=is_error)


def picture(number: int = 0, image_format: ImageFormat = ImageFormat.PNG) -> Image:
    """A picture with the first bytes of its format, different for each number."""
    data = MAGIC[image_format] + number.to_bytes(2)
    return Image(format=image_format, data=base64.b64encode(data).decode())


def texts() -> st.SearchStrategy[str]:
    """Any text without surrogates; often empty or blank."""
    return st.sampled_from(["", " ", "\n\t", "\0", "hello", "你好"]) | st.text(max_size=12)


def json_values() -> st.SearchStrategy[JSON]:
    """Any JSON value of a few levels."""
    leaves: st.SearchStrategy[JSON] = st.none() | st.booleans() | st.integers() | texts()
    keys = st.sampled_from(["", "_", "path", "required", "properties", "$schema"])
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=6,
    )


def json_objects() -> st.SearchStrategy[JSONObject]:
    """Any JSON object of a few levels, sometimes of hundreds."""
    keys = st.sampled_from(["", "_", "type", "properties", "required", "$schema", "path"])
    return st.dictionaries(keys, json_values(), max_size=4) | st.integers(90, 300).map(nest)


def nest(levels: int) -> JSONObject:
    """An object of ``levels`` objects inside one another."""
    value: JSONObject = {}
    for _ in range(levels - 1):
        value = {"items": value}
    return value


def images() -> st.SearchStrategy[Image]:
    """Pictures of every format, repeated now and then."""
    return st.builds(picture, st.integers(0, 30), st.sampled_from(ImageFormat))


def tool_names() -> st.SearchStrategy[str]:
    """Names of tools, colliding often."""
    return st.sampled_from(NAMES) | st.text(max_size=5)


def tool_use_ids() -> st.SearchStrategy[str]:
    """Ids of tool uses, repeating often."""
    return st.sampled_from(IDS) | st.text(max_size=3)


def tool_uses() -> st.SearchStrategy[ToolUse]:
    """Tool uses of any tool."""
    return st.builds(ToolUse, tool_use_id=tool_use_ids(), name=tool_names(), input=json_objects())


def tool_results() -> st.SearchStrategy[ToolResult]:
    """Tool results, to whatever use."""
    content = st.lists(st.builds(Text, text=texts()) | images(), max_size=3).map(tuple)
    return st.builds(ToolResult, tool_use_id=tool_use_ids(), content=content, is_error=st.booleans())


def user_turns() -> st.SearchStrategy[UserTurn]:
    """Turns of the user with any blocks, sometimes with more pictures than the upstream takes."""
    blocks = st.builds(Text, text=texts()) | tool_results() | images()
    mixed = st.lists(blocks, max_size=4) | st.lists(images(), min_size=11, max_size=13)
    return st.builds(UserTurn, blocks=mixed.map(tuple))


def assistant_turns() -> st.SearchStrategy[AssistantTurn]:
    """Turns of the model with any blocks."""
    thinking = st.builds(Thinking, text=texts()) | st.builds(RedactedThinking, data=st.just("c2VjcmV0"))
    blocks = st.builds(Text, text=texts()) | tool_uses() | thinking
    return st.builds(AssistantTurn, blocks=st.lists(blocks, max_size=4).map(tuple))


def turn_lists() -> st.SearchStrategy[tuple[UserTurn | AssistantTurn, ...]]:
    """Turns in any order."""
    return st.lists(user_turns() | assistant_turns(), max_size=7).map(tuple)


def tools() -> st.SearchStrategy[Tool]:
    """Tools with any description and any schema."""
    descriptions = texts() | st.just("long " * 100)
    return st.builds(Tool, name=tool_names(), description=descriptions, input_schema=json_objects())


def tool_choices() -> st.SearchStrategy[ToolChoice]:
    """Every tool choice, of declared tools and of others."""
    names = st.none() | tool_names()
    return st.builds(ToolChoice, mode=st.sampled_from(ToolChoiceMode), name=names, parallel=st.booleans())


def conversations() -> st.SearchStrategy[Conversation]:
    """Whatever a client may send, sane or not."""
    return st.builds(
        Conversation,
        model=st.just("claude-sonnet-4-5"),
        turns=turn_lists(),
        system=st.lists(texts(), max_size=3).map(tuple),
        tools=st.lists(tools(), max_size=5).map(tuple),
        tool_choice=tool_choices(),
    )
