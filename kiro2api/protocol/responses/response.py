"""A turn as the events of OpenAI's Responses API, or as one whole response.

The grammar of a stream::

    response.created response.in_progress item* (response.completed | response.incomplete | failure)
    item      = response.output_item.added [message | refusal | reasoning | function | custom | shell]
                response.output_item.done
    message   = response.content_part.added response.output_text.delta* response.output_text.done
                response.content_part.done
    refusal   = response.content_part.added response.refusal.delta response.refusal.done response.content_part.done
    reasoning = response.reasoning_summary_part.added response.reasoning_summary_text.delta*
                response.reasoning_summary_text.done response.reasoning_summary_part.done
    function  = response.function_call_arguments.delta* response.function_call_arguments.done
    custom    = response.custom_tool_call_input.delta response.custom_tool_call_input.done
    shell     = (response.shell_call_command.added response.shell_call_command.delta response.shell_call_command.done)*
    failure   = error response.failed

Items come one after another, and the last event but for a failure holds them all again. What a custom tool or the
client's shell is given is told when it is whole: the model writes it as JSON, which the client does not want to see.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never, cast

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Text, Thinking, ToolUse
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json, parse_json
from kiro2api.protocol.responses.errors import describe_failure
from kiro2api.protocol.responses.output import (
    ResponseHead,
    build_item,
    build_opening_item,
    build_refusal_item,
    build_refusal_part,
    build_response,
    build_summary_part,
    build_text_part,
    read_custom_input,
)
from kiro2api.protocol.responses.tools import ToolKind
from kiro2api.protocol.responses.typed_tools import list_commands
from kiro2api.protocol.sse import encode_comment, encode_event, encode_string
from kiro2api.protocol.turn import (
    Answer,
    BlockStart,
    BlockStopped,
    RedactedThinkingStarted,
    SignatureDelta,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    ToolInputDelta,
    ToolUseStarted,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)

_NO_INPUT = "{}"


@dataclass(slots=True, kw_only=True)
class _OpenItem:
    """The item that is being written."""

    index: int
    item_id: bytes
    """As JSON."""
    block: AssistantBlock
    """As it was at the beginning."""
    has_arguments: bool
    """Whether it is a function call, whose input the client gets as the model writes it."""
    parts: list[str] = field(default_factory=list)
    signature: str = ""
    has_part: bool = False
    """Whether the client has been told that a reasoning item has a part."""

    @property
    def text(self) -> str:
        return "".join(self.parts)


class StreamRenderer:
    """Renders the events of one turn, in order, as server-sent events.

    Args:
        head: The response's.
        sequence: Numbers of the events of the whole stream, whose head may have come from an earlier attempt.
    """

    ping: Final = encode_comment("keep-alive")
    """Bytes for a silent stream; clients skip them."""

    def __init__(self, *, head: ResponseHead, sequence: Iterator[int]) -> None:
        self._head = head
        self._sequence = sequence
        self._output: list[JSONObject] = []
        self._item = _OpenItem(index=-1, item_id=b"", block=Text(text=""), has_arguments=False)
        """The latest; nothing is said outside of one."""

    def render(self, events: Sequence[TurnEvent]) -> bytes:
        """The bytes that ``events`` mean to the client; empty if they have no form in this dialect."""
        return b"".join([self._render_event(event) for event in events])

    def _render_event(self, event: TurnEvent) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._render_text(text)
            case ThinkingDelta(text=text):
                return self._render_thought(text)
            case ToolInputDelta(partial_json=partial_json):
                return self._render_input(partial_json)
            case _:
                return self._render_boundary(event)

    def _render_boundary(
        self, event: TurnStarted | BlockStart | SignatureDelta | BlockStopped | TurnEnded | TurnFailed
    ) -> bytes:
        match event:
            case TurnStarted():
                response = build_response(self._head, ())
                return self._encode("response.created", response=response) + self._encode(
                    "response.in_progress", response=response
                )
            case TextStarted() | ThinkingStarted() | RedactedThinkingStarted() | ToolUseStarted():
                return self._render_start(event)
            case SignatureDelta(signature=signature):
                self._item.signature = signature
                return b""
            case BlockStopped():
                return self._render_stop()
            case TurnEnded():
                return self._render_end(event)
            case TurnFailed(error=error):
                return self._render_failure(error)
            case _:
                assert_never(event)

    def _encode(self, name: str, /, **fields: JSON) -> bytes:
        return encode_event(encode_json({"type": name, "sequence_number": next(self._sequence), **fields}), name)

    def _encode_delta(self, name: bytes, place: bytes, delta: str, tail: bytes = b"") -> bytes:
        item = self._item
        return (
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,"item_id":%b,"output_index":%d,%b"delta":%b%b}\n\n'
            % (name, name, next(self._sequence), item.item_id, item.index, place, encode_string(delta), tail)
        )

    def _encode_in_item(self, name: str, /, **fields: JSON) -> bytes:
        item = self._item
        item_id = self._head.build_item_id(item.block, item.index)
        return self._encode(name, item_id=item_id, output_index=item.index, **fields)

    def _render_text(self, text: str) -> bytes:
        self._item.parts.append(text)
        return self._encode_delta(b"response.output_text.delta", b'"content_index":0,', text, b',"logprobs":[]')

    def _render_thought(self, text: str) -> bytes:
        item = self._item
        item.parts.append(text)
        opening = b""
        if not item.has_part:
            item.has_part = True
            opening = self._encode_in_item(
                "response.reasoning_summary_part.added", summary_index=0, part=build_summary_part("")
            )
        delta = self._encode_delta(b"response.reasoning_summary_text.delta", b'"summary_index":0,', text)
        return opening + delta

    def _render_input(self, partial_json: str) -> bytes:
        item = self._item
        item.parts.append(partial_json)
        if not item.has_arguments:
            return b""
        return self._encode_delta(b"response.function_call_arguments.delta", b"", partial_json)

    def _render_start(self, start: BlockStart) -> bytes:
        block = _build_block(start)
        index = len(self._output)
        item_id = encode_string(self._head.build_item_id(block, index))
        kind = self._head.select_form(block.name).kind if isinstance(block, ToolUse) else None
        self._item = _OpenItem(index=index, item_id=item_id, block=block, has_arguments=kind is ToolKind.FUNCTION)
        if kind is ToolKind.APPLY_PATCH:
            return b""  # the item has no form in which it could say nothing yet
        opening = self._render_opening(block)
        if not isinstance(block, Text):
            return opening
        return opening + self._encode_in_item("response.content_part.added", content_index=0, part=build_text_part(""))

    def _render_opening(self, block: AssistantBlock) -> bytes:
        item = build_opening_item(self._head, block, self._item.index)
        return self._encode("response.output_item.added", output_index=self._item.index, item=item)

    def _render_stop(self) -> bytes:
        item = self._item
        match item.block:
            case Text():
                block: AssistantBlock = Text(text=item.text)
                closing = self._render_text_end(item.text)
            case Thinking():
                block = Thinking(text=item.text, signature=item.signature)
                closing = self._render_thought_end(item.text) if item.has_part else b""
            case RedactedThinking():
                block, closing = item.block, b""
            case ToolUse(tool_use_id=tool_use_id, name=name):
                value = cast("JSONObject", parse_json((item.text or _NO_INPUT).encode()))
                block = ToolUse(tool_use_id=tool_use_id, name=name, input=value)
                closing = self._render_input_end(block)
            case _:
                assert_never(item.block)
        done = build_item(self._head, block, item.index, arguments=item.text or _NO_INPUT)
        closing += self._encode("response.output_item.done", output_index=item.index, item=done)
        self._output.append(done)
        return closing

    def _render_text_end(self, text: str) -> bytes:
        return self._encode_in_item(
            "response.output_text.done", content_index=0, text=text, logprobs=[]
        ) + self._encode_in_item("response.content_part.done", content_index=0, part=build_text_part(text))

    def _render_thought_end(self, text: str) -> bytes:
        return self._encode_in_item(
            "response.reasoning_summary_text.done", summary_index=0, text=text
        ) + self._encode_in_item("response.reasoning_summary_part.done", summary_index=0, part=build_summary_part(text))

    def _render_input_end(self, tool_use: ToolUse) -> bytes:
        form = self._head.select_form(tool_use.name)
        match form.kind:
            case ToolKind.FUNCTION:
                missing = b"" if self._item.parts else self._render_input(_NO_INPUT)
                return missing + self._encode_in_item(
                    "response.function_call_arguments.done", name=form.name, arguments=self._item.text
                )
            case ToolKind.CUSTOM:
                text = read_custom_input(tool_use.input)
                return self._encode_delta(b"response.custom_tool_call_input.delta", b"", text) + self._encode_in_item(
                    "response.custom_tool_call_input.done", input=text
                )
            case ToolKind.SHELL:
                return self._render_commands(list_commands(tool_use.input))
            case ToolKind.APPLY_PATCH:
                return self._render_opening(tool_use)
            case ToolKind.LOCAL_SHELL:
                return b""
            case _:
                assert_never(form.kind)

    def _render_commands(self, commands: Sequence[str]) -> bytes:
        pieces: list[bytes] = []
        for index, command in enumerate(commands):
            place: JSONObject = {"output_index": self._item.index, "command_index": index}
            pieces += (
                self._encode("response.shell_call_command.added", **place, command=""),
                self._encode("response.shell_call_command.delta", **place, delta=command),
                self._encode("response.shell_call_command.done", **place, command=command),
            )
        return b"".join(pieces)

    def _render_end(self, event: TurnEnded) -> bytes:
        explained = self._render_refusal(event.refusal.explanation) if event.refusal else b""
        response = build_response(self._head, self._output, event)
        return explained + self._encode(f"response.{response['status']}", response=response)

    def _render_refusal(self, explanation: str) -> bytes:
        """An item of its own, if there is anything to say."""
        if not explanation:
            return b""
        index = len(self._output)
        opening = build_opening_item(self._head, Text(text=""), index)
        done = build_refusal_item(self._head, explanation, index)
        place: JSONObject = {"item_id": done["id"], "output_index": index, "content_index": 0}
        self._output.append(done)
        return b"".join(
            [
                self._encode("response.output_item.added", output_index=index, item=opening),
                self._encode("response.content_part.added", **place, part=build_refusal_part("")),
                self._encode("response.refusal.delta", **place, delta=explanation),
                self._encode("response.refusal.done", **place, refusal=explanation),
                self._encode("response.content_part.done", **place, part=build_refusal_part(explanation)),
                self._encode("response.output_item.done", output_index=index, item=done),
            ]
        )

    def _render_failure(self, error: Kiro2ApiError) -> bytes:
        failure = describe_failure(error)
        response = build_response(self._head, self._output, failure)
        return self._encode("error", code=failure.code, message=failure.message, param=failure.param) + self._encode(
            "response.failed", response=response
        )


def render_answer(answer: Answer, *, head: ResponseHead) -> bytes:
    """The body of an answer that is not streamed."""
    output = [build_item(head, block, index) for index, block in enumerate(answer.blocks)]
    if answer.refusal and answer.refusal.explanation:
        output.append(build_refusal_item(head, answer.refusal.explanation, len(output)))
    return encode_json(build_response(head, output, answer))


def _build_block(start: BlockStart) -> AssistantBlock:
    match start:
        case TextStarted():
            return Text(text="")
        case ThinkingStarted():
            return Thinking(text="")
        case RedactedThinkingStarted(data=data):
            return RedactedThinking(data=data)
        case ToolUseStarted(tool_use_id=tool_use_id, name=name):
            return ToolUse(tool_use_id=tool_use_id, name=name, input={})
        case _:
            assert_never(start)
