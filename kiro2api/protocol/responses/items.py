"""The items of a request for a response as system prompts and turns.

What a client said is never left out; what other services of OpenAI's did, and the reasoning that they enciphered, has
no place here and is noted among the repairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, assert_never

from kiro2api.errors import ErrorKind
from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.bodies import FIELD_REQUIRED
from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Image,
    Text,
    ToolResult,
    ToolUse,
    UserBlock,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, encode_json, parse_json
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.content import MAX_QUOTED_CHARS, read_parts, read_texts
from kiro2api.protocol.responses.reasoning import read_reasoning
from kiro2api.protocol.responses.tools import CUSTOM_INPUT, join_name, note_dropped
from kiro2api.protocol.responses.typed_tools import APPLY_PATCH, LOCAL_SHELL, SHELL

FOREIGN_ITEMS = frozenset(
    {
        "code_interpreter_call",
        "compaction",
        "compaction_summary",
        "computer_call",
        "computer_call_output",
        "configuration_update",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""What OpenAI's own service did for the model: nothing of it was said by the client."""


class ItemNotFoundError(InvalidRequestError):
    """The item of an earlier response that is referred to is not kept."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, item_id: str, *, path: str) -> None:
        super().__init__(
            f"Item with id {item_id[:MAX_QUOTED_CHARS]!r} not found: it is not kept, or not any more, and never with "
            "store set to false; send the item itself.",
            path=path,
        )


_NOTHING: Mapping[str, AssistantBlock] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A conversation as far as a response can be continued from it."""

    system: tuple[str, ...] = ()
    """Without the instructions, which hold for one request."""
    turns: tuple[UserTurn | AssistantTurn, ...] = ()
    tools: tuple[schema.Tool, ...] = ()
    """That came by items and not with the request."""
    items: Mapping[str, AssistantBlock] = field(default=_NOTHING)
    """The latest answer's, by the ids that they had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What the items of a request say, together with what came before them."""

    history: History
    repairs: tuple[str, ...]


def list_references(items: Sequence[schema.Item]) -> list[str]:
    """The ids of earlier items that ``items`` refer to."""
    return [item.id for item in items if isinstance(item, schema.ItemReference)]


def parse_items(
    items: Sequence[schema.Item],
    attachments: AttachmentReader,
    *,
    before: History,
    references: Mapping[str, AssistantBlock],
) -> Transcript:
    """``before`` and what ``items`` add to it, in order.

    System messages after the first other item are folded, as text, into the user turn before them or else into the one
    after them. If there are no other items, the last system text becomes the user's turn: the upstream answers nobody
    else.

    Args:
        items: The request's.
        attachments: Reads the request's pictures and files.
        before: The conversation that the request continues.
        references: The items that others refer to, by id.

    Raises:
        InvalidRequestError: An item or a part is unknown, or has no place where it stands; or nothing is said at all.
    """
    reader = _Reader(attachments, before, references)
    for index, item in enumerate(items):
        reader.receive_item(item, f"input[{index}]")
    return reader.receive_end()


class _Reader:
    def __init__(
        self, attachments: AttachmentReader, before: History, references: Mapping[str, AssistantBlock]
    ) -> None:
        self._attachments = attachments
        self._references = references
        self._system = list(before.system)
        self._turns = list(before.turns)
        self._tools = list(before.tools)
        self._repairs = attachments.repairs
        self._has_begun = bool(before.turns)
        self._said: list[AssistantBlock] = []
        """By the model, in the turn that is open; the user's is not, then."""
        self._blocks: list[UserBlock] = []
        self._open: Literal["user", "results"] | None = None
        """Whose blocks ``_blocks`` holds; ``None`` with blocks means system text that waits for a user turn."""

    def receive_item(self, item: schema.Item, path: str) -> None:
        match item:
            case schema.Message():
                self._receive_message(item, path)
            case schema.CallOutput():
                self._receive_output(item, path)
            case schema.ShellOutput():
                self._receive_shell_output(item, path)
            case schema.AdditionalTools():
                self._tools += item.tools
            case schema.UnknownItem():
                self._receive_unknown(item, path)
            case _:
                block = self._read_block(item, path)
                if block is not None:
                    self._say([block])

    def receive_end(self) -> Transcript:
        self._close_user_turn()
        self._close_assistant_turn()
        if not self._turns:
            if not self._system:
                raise InvalidRequestError("says nothing that could be answered.", path="input")
            self._turns.append(UserTurn(blocks=(Text(text=self._system.pop()),)))
        history = History(system=tuple(self._system), turns=tuple(self._turns), tools=tuple(self._tools))
        return Transcript(history=history, repairs=tuple(self._repairs))

    def _receive_message(self, message: schema.Message, path: str) -> None:
        content_path = f"{path}.content"
        match message.role:
            case "user":
                blocks = read_parts(message.content, content_path, self._attachments)
                self._open_user_turn("user")
                self._blocks += blocks or [Text(text="")]
            case "assistant":
                self._say(read_texts(message.content, content_path))
            case "system" | "developer":
                self._receive_system(read_texts(message.content, content_path))
            case role:
                message_text = f"the role {role[:MAX_QUOTED_CHARS]!r} is not supported."
                raise InvalidRequestError(message_text, path=f"{path}.role")

    def _receive_system(self, texts: Sequence[Text]) -> None:
        if self._has_begun:
            self._close_assistant_turn()
            self._blocks += texts
        else:
            self._system += (text.text for text in texts)

    def _receive_output(self, item: schema.CallOutput, path: str) -> None:
        blocks = read_parts(item.output or (), f"{path}.output", self._attachments)
        self._add_result(item.call_id, tuple(block for block in blocks if block != Text(text="")))

    def _receive_shell_output(self, item: schema.ShellOutput, path: str) -> None:
        call_id = _require_id(item.call_id, item.id, path)
        text = item.output if isinstance(item.output, str) else encode_json(item.output).decode() if item.output else ""
        self._add_result(call_id, (Text(text=text),) if text else (), is_error=item.status == "failed")

    def _receive_unknown(self, item: schema.UnknownItem, path: str) -> None:
        if item.type not in FOREIGN_ITEMS:
            message = f"an item of type {item.type[:MAX_QUOTED_CHARS]!r} is not supported."
            raise InvalidRequestError(message, path=f"{path}.type")
        self._repairs.append(note_dropped("item", item.type))

    def _read_block(
        self,
        item: schema.FunctionCall
        | schema.CustomToolCall
        | schema.ShellCall
        | schema.PatchCall
        | schema.Reasoning
        | schema.ItemReference,
        path: str,
    ) -> AssistantBlock | None:
        """What the model said by ``item``; ``None`` for reasoning that is none of the upstream's."""
        match item:
            case schema.FunctionCall():
                name = join_name(item.name, item.namespace)
                return ToolUse(tool_use_id=item.call_id, name=name, input=self._read_arguments(item.arguments or ""))
            case schema.CustomToolCall():
                name = join_name(item.name, item.namespace)
                return ToolUse(tool_use_id=item.call_id, name=name, input={CUSTOM_INPUT: item.input})
            case schema.ShellCall():
                name = (LOCAL_SHELL if item.type == "local_shell_call" else SHELL).name
                tool_use_id = _require_id(item.call_id, item.id, path)
                return ToolUse(tool_use_id=tool_use_id, name=name, input=_select_arguments(item.action))
            case schema.PatchCall():
                return ToolUse(tool_use_id=item.call_id, name=APPLY_PATCH.name, input=item.operation)
            case schema.Reasoning():
                block = read_reasoning(item)
                if block is None:
                    self._repairs.append("dropped_reasoning")
                return block
            case schema.ItemReference():
                return self._resolve(item, path)
            case _:
                assert_never(item)

    def _resolve(self, reference: schema.ItemReference, path: str) -> AssistantBlock:
        block = self._references.get(reference.id)
        if block is None:
            raise ItemNotFoundError(reference.id, path=f"{path}.id")
        return block

    def _read_arguments(self, arguments: str) -> JSONObject:
        """The object that the text means, none at all meaning ``{}``; what is no object becomes part of one."""
        if not arguments.strip():
            return {}
        value = _parse_object(arguments)
        if value is None:
            self._repairs.append("wrapped_tool_arguments")
            return {"arguments": arguments}
        return value

    def _say(self, blocks: Sequence[AssistantBlock]) -> None:
        self._has_begun = True
        self._close_user_turn()
        self._said += blocks

    def _add_result(self, tool_use_id: str, content: tuple[Text | Image, ...], *, is_error: bool = False) -> None:
        self._open_user_turn("results")
        self._blocks.append(ToolResult(tool_use_id=tool_use_id, content=content, is_error=is_error))

    def _open_user_turn(self, kind: Literal["user", "results"]) -> None:
        self._has_begun = True
        self._close_assistant_turn()
        if self._open == "user" or (self._open == "results" and kind == "user"):
            self._close_user_turn()
        self._open = kind

    def _close_assistant_turn(self) -> None:
        if self._said:
            self._turns.append(AssistantTurn(blocks=tuple(self._said)))
        self._said = []

    def _close_user_turn(self) -> None:
        if self._blocks:
            self._turns.append(UserTurn(blocks=tuple(self._blocks)))
        self._blocks = []
        self._open = None


def _parse_object(text: str) -> JSONObject | None:
    try:
        value = parse_json(text.encode())
    except InvalidJSONError:
        return None
    return value if isinstance(value, dict) else None


def _require_id(call_id: str | None, item_id: str | None, path: str) -> str:
    """The id of a call, for which older clients use the item's."""
    found = call_id or item_id
    if not found:
        raise InvalidRequestError(FIELD_REQUIRED, path=f"{path}.call_id")
    return found


def _select_arguments(action: JSONObject) -> JSONObject:
    """What the model gave: neither the type of the action nor what it left out."""
    return {name: value for name, value in action.items() if name != "type" and value is not None}
