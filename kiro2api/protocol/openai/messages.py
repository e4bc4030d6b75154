"""The messages of a chat completion request as system prompts and turns.

What a client said is never left out: a part that has no place in a :class:`Conversation` is an error that names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Image,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UserBlock,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, parse_json
from kiro2api.protocol.openai import schema
from kiro2api.protocol.openai.tools import CUSTOM_INPUT, MAX_QUOTED_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What the messages of a request say."""

    system: tuple[str, ...]
    turns: tuple[UserTurn | AssistantTurn, ...]
    """At least one."""
    repairs: tuple[str, ...]


def parse_messages(messages: Sequence[schema.Message], attachments: AttachmentReader) -> Transcript:
    """The system prompts and the turns, in order.

    System messages after the first other message are folded, as text, into the user turn before them or else into the
    one after them. If there are no other messages, the last system text becomes the user's turn: the upstream answers
    nobody else.

    Raises:
        InvalidRequestError: A role or a part is unknown, or has no place where it stands.
    """
    reader = _Reader(attachments)
    for index, message in enumerate(messages):
        reader.receive_message(message, path=f"messages[{index}]")
    return reader.receive_end()


class _Reader:
    def __init__(self, attachments: AttachmentReader) -> None:
        self._attachments = attachments
        self._system: list[str] = []
        self._turns: list[UserTurn | AssistantTurn] = []
        self._repairs = attachments.repairs
        self._has_begun = False
        self._blocks: list[UserBlock] = []
        self._open: Literal["user", "results"] | None = None
        """Whose blocks ``_blocks`` holds; ``None`` with blocks means system text that waits for a user turn."""
        self._function_call_ids: dict[str, str] = {}
        """The id given to the last call of each function in the old form, which has no ids."""

    def receive_message(self, message: schema.Message, *, path: str) -> None:
        match message:
            case schema.SystemMessage():
                self._receive_system(message, path)
                return
            case schema.UserMessage():
                self._open_user_turn("user")
                self._blocks += self._read_parts(message.content, path) or [Text(text="")]
            case schema.AssistantMessage():
                self._close_user_turn()
                blocks = self._read_assistant(message, path)
                self._turns.append(AssistantTurn(blocks=tuple(blocks)))
            case schema.ToolMessage():
                self._add_result(message.tool_call_id, message.content, path)
            case schema.FunctionMessage():
                call_id = self._function_call_ids.get(message.name, f"call_{message.name}")
                self._add_result(call_id, message.content, path)
            case schema.UnknownMessage():
                raise InvalidRequestError(
                    f"the role {message.role[:MAX_QUOTED_CHARS]!r} is not supported.", path=f"{path}.role"
                )
            case _:
                assert_never(message)
        self._has_begun = True

    def receive_end(self) -> Transcript:
        self._close_user_turn()
        if not self._turns:
            text = self._system.pop() if self._system else ""
            self._turns.append(UserTurn(blocks=(Text(text=text),)))
        return Transcript(system=tuple(self._system), turns=tuple(self._turns), repairs=tuple(self._repairs))

    def _receive_system(self, message: schema.SystemMessage, path: str) -> None:
        texts = [text for text in _read_texts(message.content, path) if text.text]
        if self._has_begun:
            self._blocks += texts
        else:
            self._system += (text.text for text in texts)

    def _open_user_turn(self, kind: Literal["user", "results"]) -> None:
        if self._open == "user" or (self._open == "results" and kind == "user"):
            self._close_user_turn()
        self._open = kind

    def _close_user_turn(self) -> None:
        if self._blocks:
            self._turns.append(UserTurn(blocks=tuple(self._blocks)))
        self._blocks = []
        self._open = None

    def _add_result(self, tool_use_id: str, content: Sequence[schema.Part] | None, path: str) -> None:
        self._open_user_turn("results")
        blocks = tuple(block for block in self._read_parts(content or (), path) if block != Text(text=""))
        self._blocks.append(ToolResult(tool_use_id=tool_use_id, content=blocks))

    def _read_parts(self, parts: Sequence[schema.Part], path: str) -> list[Text | Image]:
        blocks: list[Text | Image] = []
        for index, part in enumerate(parts):
            part_path = f"{path}.content[{index}]"
            match part:
                case schema.TextPart():
                    blocks.append(Text(text=part.text))
                case schema.ImagePart():
                    url_path = f"{part_path}.image_url.url"
                    blocks.append(self._attachments.read_image_url(part.image_url.url, path=url_path))
                case schema.FilePart(file=file):
                    data_path = f"{part_path}.file.file_data"
                    blocks.append(self._attachments.read_file(file.file_data, file.filename, path=data_path))
                case _:
                    raise _unsupported(part, part_path)
        return blocks

    def _read_assistant(self, message: schema.AssistantMessage, path: str) -> list[AssistantBlock]:
        blocks: list[AssistantBlock] = []
        if message.reasoning_content:
            blocks.append(Thinking(text=message.reasoning_content))
        texts = [*_read_texts(message.content or (), path), Text(text=message.refusal or "")]
        blocks += (text for text in texts if text.text)
        for index, call in enumerate(message.tool_calls or ()):
            blocks.append(self._read_tool_call(call, f"{path}.tool_calls[{index}]"))
        if message.function_call is not None:
            name = message.function_call.name
            call_id = f"call_{len(self._turns)}_{name}"
            self._function_call_ids[name] = call_id
            blocks.append(self._read_function_call(call_id, message.function_call))
        return blocks or [Text(text="")]

    def _read_tool_call(self, call: schema.ToolCall, path: str) -> ToolUse:
        match call:
            case schema.FunctionToolCall():
                return self._read_function_call(call.id, call.function)
            case schema.CustomToolCall():
                custom = call.custom
                return ToolUse(tool_use_id=call.id, name=custom.name, input={CUSTOM_INPUT: custom.input})
            case schema.UnknownToolCall():
                raise InvalidRequestError(
                    f"a tool call of type {call.type[:MAX_QUOTED_CHARS]!r} is not supported.", path=f"{path}.type"
                )
            case _:
                assert_never(call)

    def _read_function_call(self, call_id: str, call: schema.FunctionCall) -> ToolUse:
        tool_input = _parse_arguments(call.arguments or "")
        if tool_input is None:
            self._repairs.append("wrapped_tool_arguments")
            tool_input = {"arguments": call.arguments}
        return ToolUse(tool_use_id=call_id, name=call.name, input=tool_input)


def _parse_arguments(arguments: str) -> JSONObject | None:
    """The object that the text means, none at all meaning ``{}``; ``None`` if it is no JSON object."""
    if not arguments.strip():
        return {}
    try:
        value = parse_json(arguments.encode())
    except InvalidJSONError:
        return None
    return value if isinstance(value, dict) else None


def _read_texts(parts: Sequence[schema.Part], path: str) -> list[Text]:
    texts: list[Text] = []
    for index, part in enumerate(parts):
        match part:
            case schema.TextPart():
                texts.append(Text(text=part.text))
            case schema.RefusalPart():
                texts.append(Text(text=part.refusal))
            case _:
                raise _unsupported(part, f"{path}.content[{index}]")
    return texts


def _unsupported(
    part: schema.RefusalPart | schema.ImagePart | schema.FilePart | schema.UnknownPart, path: str
) -> InvalidRequestError:
    match part:
        case schema.RefusalPart():
            name = "refusal"
        case schema.ImagePart():
            name = "image_url"
        case schema.FilePart():
            name = "file"
        case schema.UnknownPart():
            name = part.type
        case _:
            assert_never(part)
    return InvalidRequestError(f"content of type {name[:MAX_QUOTED_CHARS]!r} is not supported here.", path=path)
