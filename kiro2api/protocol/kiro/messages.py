"""One message of the upstream's request out of the blocks of one side.

Texts are joined by line breaks as they are; blank ones are left out. Tool results find their tool uses by id; one that
finds none is written down as text where it stands. Pictures stand beside the text: those of the results first, in the
order of the tool uses, which is how the model tells them apart.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from kiro2api.protocol.conversation import (
    AssistantBlock,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UserBlock,
)
from kiro2api.protocol.kiro.failures import FailureTally, build_failure_text
from kiro2api.protocol.kiro.names import ToolNames, ToolUseIds
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import (
    AssistantResponseMessage,
    ImageBlock,
    ImageSource,
    Picture,
    ReasoningContent,
    ReasoningText,
    ReasoningTextContent,
    RedactedContent,
    ToolResultEntry,
    ToolResultText,
    ToolUseEntry,
    UserInputMessage,
    UserInputMessageContext,
)
from kiro2api.protocol.kiro.signatures import unmark
from kiro2api.protocol.kiro.tooljson import clean_tool_input

ORIGIN = "AI_EDITOR"
MAX_IMAGES = 10
"""Pictures of one message: ``ImageBlocks`` of the upstream's model. Of more, the last ones stay."""

EMPTY_TEXT = "(no text)"
EMPTY_RESULT_TEXT = "(no output)"
EMPTY_ERROR_TEXT = "(the tool failed without output)"
INTERRUPTED_TEXT = "Tool use was interrupted; there is no result."
ORPHAN_HEADING = "[Result of an earlier tool use]"
ORPHAN_ERROR_HEADING = "[Error result of an earlier tool use]"
ORPHAN_END = "[End of the result]"
DROPPED_IMAGE_TEXT = f"[image left out: a message carries at most {MAX_IMAGES}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUse:
    """A tool use that the next message has to answer."""

    call: ToolUse
    """As the client tells it."""
    upstream_id: str


@dataclass(slots=True, kw_only=True)
class MessageWriter:
    """Writes the messages of one request, first to last."""

    model_id: str
    names: ToolNames
    """Knows the names in all tool uses to come."""
    repairs: set[Repair]
    """Takes what had to be changed."""
    replay_origin: str | None = None
    """Whose reasoning may be replayed, as in its signatures; ``None`` for nobody's."""
    _ids: ToolUseIds = field(default_factory=ToolUseIds)
    _failures: FailureTally = field(default_factory=FailureTally)

    def build_assistant(self, blocks: Iterable[AssistantBlock]) -> tuple[AssistantResponseMessage, list[PendingUse]]:
        """The model's message, and the tool uses that the next message has to answer."""
        texts: list[str] = []
        thoughts: list[Thinking | RedactedThinking] = []
        entries: list[ToolUseEntry] = []
        uses: list[PendingUse] = []
        first_of_id: dict[str, tuple[str, object]] = {}
        for block in blocks:
            match block:
                case Text():
                    texts.append(block.text)
                case Thinking() | RedactedThinking():
                    thoughts.append(block)
                case ToolUse():
                    cleaned = clean_tool_input(block.input, self.repairs)
                    call = (block.name, cleaned)
                    if first_of_id.get(block.tool_use_id) == call:
                        self.repairs.add(Repair.DROPPED_DUPLICATE_USE)
                        continue
                    first_of_id.setdefault(block.tool_use_id, call)
                    use = self._assign_id(block)
                    uses.append(use)
                    name = self.names.to_upstream(block.name)
                    entries.append(ToolUseEntry(tool_use_id=use.upstream_id, name=name, input=cleaned))
                case _:
                    assert_never(block)
        content = self._join(texts, may_be_empty=bool(entries))
        reasoning = self._replay(thoughts)
        return AssistantResponseMessage(content=content, tool_uses=tuple(entries), reasoning_content=reasoning), uses

    def build_user(self, blocks: Iterable[UserBlock], uses: Sequence[PendingUse]) -> UserInputMessage:
        """The user's message, which answers ``uses``, those of the message before."""
        answers, rest = self._pair(blocks, uses)
        gallery = _Gallery(surplus=_count_images(answers.values(), rest) - MAX_IMAGES)
        results = tuple(self._build_result(use, answers, gallery) for use in uses)
        texts: list[str] = []
        for block in rest:
            match block:
                case Text():
                    texts.append(block.text)
                case Image():
                    if not gallery.add(block):
                        texts.append(self._drop_image())
                case _:
                    assert_never(block)
        context = UserInputMessageContext(tool_results=results) if results else None
        return UserInputMessage(
            content=self._join(texts, may_be_empty=bool(results)),
            model_id=self.model_id,
            origin=ORIGIN,
            images=tuple(gallery.images),
            user_input_message_context=context,
        )

    def _replay(self, thoughts: Sequence[Thinking | RedactedThinking]) -> ReasoningContent | None:
        """The reasoning of a message, which has a place for one piece; of several none is what the model signed."""
        content = None
        if self.replay_origin is not None and len(thoughts) == 1:
            content = _build_reasoning(thoughts[0], self.replay_origin)
        if thoughts and content is None:
            self.repairs.add(Repair.DROPPED_THINKING)
        return content

    def _assign_id(self, call: ToolUse) -> PendingUse:
        upstream_id = self._ids.assign(call.tool_use_id)
        if upstream_id != call.tool_use_id:
            self.repairs.add(Repair.RENAMED_TOOL_USE_ID)
        return PendingUse(call=call, upstream_id=upstream_id)

    def _pair(
        self, blocks: Iterable[UserBlock], uses: Sequence[PendingUse]
    ) -> tuple[dict[str, ToolResult], list[Text | Image]]:
        """Results by the upstream's id of the use that they answer, and all else in its order.

        Of several uses with one id the first result answers the first use.
        """
        waiting: dict[str, deque[str]] = {}
        for use in uses:
            waiting.setdefault(use.call.tool_use_id, deque()).append(use.upstream_id)
        answers: dict[str, ToolResult] = {}
        answered: set[ToolResult] = set()
        rest: list[Text | Image] = []
        for block in blocks:
            if not isinstance(block, ToolResult):
                rest.append(block)
            elif upstream_ids := waiting.get(block.tool_use_id):
                answers[upstream_ids.popleft()] = block
                answered.add(block)
            elif block in answered:
                self.repairs.add(Repair.DROPPED_DUPLICATE_RESULT)
            else:
                self.repairs.add(Repair.ORPHAN_RESULT_AS_TEXT)
                rest.extend(_render_orphan(block))
        in_order = [use.upstream_id for use in uses if use.upstream_id in answers]
        if list(answers) != in_order:
            self.repairs.add(Repair.REORDERED_RESULTS)
        return answers, rest

    def _build_result(self, use: PendingUse, answers: dict[str, ToolResult], gallery: "_Gallery") -> ToolResultEntry:
        result = answers.get(use.upstream_id)
        if result is None:
            self.repairs.add(Repair.SYNTHESISED_RESULT)
            texts, is_error = [INTERRUPTED_TEXT], True
        else:
            texts, is_error = self._write_result(result, gallery), result.is_error
            failures = self._failures.receive_result(use.call, is_error=is_error)
            if explanation := build_failure_text(failures):
                self.repairs.add(Repair.EXPLAINED_REPEATED_FAILURE)
                texts.append(explanation)
        return ToolResultEntry(
            tool_use_id=use.upstream_id,
            status="error" if is_error else "success",
            content=tuple(ToolResultText(text=text) for text in texts),
        )

    def _write_result(self, result: ToolResult, gallery: "_Gallery") -> list[str]:
        """The texts of ``result``, at least one; its pictures go to ``gallery``."""
        texts: list[str] = []
        for block in result.content:
            match block:
                case Text():
                    if not _is_blank(block.text):
                        texts.append(block.text)
                case Image():
                    if gallery.add(block):
                        self.repairs.add(Repair.LIFTED_IMAGES)
                        texts.append(f"[image {len(gallery.images)} attached]")
                    else:
                        texts.append(self._drop_image())
                case _:
                    assert_never(block)
        if not texts:
            self.repairs.add(Repair.FILLED_EMPTY_RESULT)
            texts.append(EMPTY_ERROR_TEXT if result.is_error else EMPTY_RESULT_TEXT)
        return texts

    def _drop_image(self) -> str:
        self.repairs.add(Repair.DROPPED_IMAGES)
        return DROPPED_IMAGE_TEXT

    def _join(self, texts: Iterable[str], *, may_be_empty: bool) -> str:
        text = "\n".join(text for text in texts if not _is_blank(text))
        if text or may_be_empty:
            return text
        self.repairs.add(Repair.FILLED_EMPTY_TEXT)
        return EMPTY_TEXT


@dataclass(slots=True, kw_only=True)
class _Gallery:
    """The pictures of one message; the first ``surplus`` find no place."""

    surplus: int
    images: list[ImageBlock] = field(default_factory=list)

    def add(self, image: Image) -> bool:
        """Whether there was a place for ``image``."""
        if self.surplus > 0:
            self.surplus -= 1
            return False
        source = ImageSource(bytes=Picture(image.data))
        self.images.append(ImageBlock(format=image.format.value, source=source))
        return True


def _build_reasoning(thought: Thinking | RedactedThinking, origin: str) -> ReasoningContent | None:
    """``thought`` as it came from ``origin``; ``None`` if it did not."""
    match thought:
        case Thinking(text=text, signature=signature):
            signature = unmark(signature, origin)
            return (
                ReasoningTextContent(reasoning_text=ReasoningText(text=text, signature=signature))
                if signature
                else None
            )
        case RedactedThinking(data=data):
            data = unmark(data, origin)
            return RedactedContent(redacted_content=data) if data else None
        case _:
            assert_never(thought)


def _count_images(answers: Iterable[ToolResult], rest: Iterable[Text | Image]) -> int:
    in_results = sum(isinstance(item, Image) for result in answers for item in result.content)
    return in_results + sum(isinstance(item, Image) for item in rest)


def _render_orphan(result: ToolResult) -> list[Text | Image]:
    """``result`` as the user's words, between marks that tell it from them."""
    heading = ORPHAN_ERROR_HEADING if result.is_error else ORPHAN_HEADING
    content = result.content or (Text(text=EMPTY_RESULT_TEXT),)
    return [Text(text=heading), *content, Text(text=ORPHAN_END)]


def _is_blank(text: str) -> bool:
    return not text or text.isspace()
