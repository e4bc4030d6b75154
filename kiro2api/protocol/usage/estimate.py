"""The estimate of what a conversation and its answer take, for as long as the wire says nothing."""

from typing import Final, assert_never

from kiro2api.protocol.conversation import (
    AnswerFormat,
    AssistantBlock,
    Conversation,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    UserBlock,
)
from kiro2api.protocol.images import measure_image
from kiro2api.protocol.jsontext import encode_json
from kiro2api.protocol.usage.tally import TextTally, estimate_text

REQUEST_TOKENS: Final = 4
SYSTEM_BLOCK_TOKENS: Final = 2
TURN_TOKENS: Final = 4
TOOL_SET_TOKENS: Final = 346
"""The instructions for tools that Anthropic's service puts before the first of them, as it has published."""
TOOL_TOKENS: Final = 14
"""The frame of a tool's declaration; the words "description" and "parameters" and their signs."""
TOOL_USE_TOKENS: Final = 20
"""The frame of a tool use, its id included."""
TOOL_RESULT_TOKENS: Final = 16
"""The frame of a tool result, its id included."""
FORMAT_TOKENS: Final = 28
"""The sentences that ask for JSON, without its schema."""
OPAQUE_TOKENS: Final = 50
"""For reasoning that only the service can read."""

PIXELS_PER_TOKEN: Final = 750
MAX_IMAGE_TOKENS: Final = 5_000
"""Of 3.75 megapixels, to which the newest Claude models scale larger pictures down; older ones go down to 1.15."""
UNMEASURED_IMAGE_TOKENS: Final = 1_500


class OutputMeter:
    """Adds up an answer while it streams; what it says does not depend on how the text was cut, and never falls."""

    __slots__ = ("_tally", "_tool_uses")

    def __init__(self) -> None:
        self._tally = TextTally()
        self._tool_uses = 0

    def add_text(self, text: str) -> None:
        self._tally.add(text)

    def add_tool_use(self, name: str) -> None:
        self._tool_uses += 1
        self._tally.add(name)

    def add_tool_input(self, text: str) -> None:
        """More of the JSON of a tool use's input."""
        self._tally.add(text)

    @property
    def tokens(self) -> int:
        """The estimate for all that came so far: at least 1, or 0 when nothing did."""
        return self._tally.tokens + TOOL_USE_TOKENS * self._tool_uses


def estimate_conversation(conversation: Conversation) -> int:
    """Model tokens that the conversation takes as input."""
    return (
        REQUEST_TOKENS
        + sum(SYSTEM_BLOCK_TOKENS + estimate_text(text) for text in conversation.system)
        + TURN_TOKENS * len(conversation.turns)
        + sum(_estimate_block(block) for turn in conversation.turns for block in turn.blocks)
        + _estimate_tools(conversation.tools)
        + _estimate_format(conversation.answer_format)
    )


def _estimate_block(block: UserBlock | AssistantBlock) -> int:
    match block:
        case Text(text=text) | Thinking(text=text):
            return estimate_text(text)
        case Image(data=data):
            return _estimate_image(data)
        case ToolResult(content=content):
            return TOOL_RESULT_TOKENS + sum(map(_estimate_block, content))
        case ToolUse(name=name, input=tool_input):
            return TOOL_USE_TOKENS + estimate_text(name) + estimate_text(encode_json(tool_input).decode())
        case RedactedThinking():
            return OPAQUE_TOKENS
        case _:
            assert_never(block)


def _estimate_image(data: str) -> int:
    size = measure_image(data)
    if size is None:
        return UNMEASURED_IMAGE_TOKENS
    width, height = size
    return min(-(-width * height // PIXELS_PER_TOKEN), MAX_IMAGE_TOKENS)


def _estimate_tools(tools: tuple[Tool, ...]) -> int:
    if not tools:
        return 0
    return TOOL_SET_TOKENS + sum(map(_estimate_tool, tools))


def _estimate_format(answer_format: AnswerFormat | None) -> int:
    if answer_format is None:
        return 0
    schema = "" if answer_format.schema is None else encode_json(answer_format.schema).decode()
    return FORMAT_TOKENS + estimate_text(schema)


def _estimate_tool(tool: Tool) -> int:
    schema = encode_json(tool.input_schema).decode()
    return TOOL_TOKENS + estimate_text(tool.name) + estimate_text(tool.description) + estimate_text(schema)
