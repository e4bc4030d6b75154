"""Responses that clients may continue or refer to, for as long as there is room for them.

They are kept in this process and nowhere else. What was used last goes last; a response that is not there any more is
no worse than one that never was: the client is told to send the whole conversation.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from kiro2api.errors import ErrorKind
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
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import encode_json
from kiro2api.protocol.responses.items import History

MAX_KEPT_RESPONSES = 2000
"""A day's work of some agents, one response a step."""
MAX_KEPT_BYTES = 67_108_864
"""Of memory, over all responses, each with the whole conversation before it though most of that is shared."""
BLOCK_BYTES = 200
"""Of memory that a block takes beside its text."""

_QUOTED_CHARS = 80


class ResponseNotFoundError(InvalidRequestError):
    """The response that is asked for is not kept here."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Response with id {response_id[:_QUOTED_CHARS]!r} not found: it is not kept, or not any more."
        )


class PreviousResponseNotFoundError(InvalidRequestError):
    """The response to be continued is not kept here; which OpenAI does not call "not found" but a bad request."""

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id {response_id[:_QUOTED_CHARS]!r} not found: it is no longer kept, or never was; "
            "send the whole conversation as input.",
            path="previous_response_id",
            code="previous_response_not_found",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """A response, and what can be continued from it."""

    body: bytes
    """As it is answered when it is not streamed."""
    history: History
    size: int
    """Bytes of memory."""


class KeptResponses:
    """Responses by their ids.

    Args:
        max_count: Responses.
        max_bytes: Of memory, as far as it can be told; what is larger by itself is not kept at all.
    """

    def __init__(self, *, max_count: int = MAX_KEPT_RESPONSES, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, KeptResponse] = OrderedDict()
        """What was used longest ago comes first."""
        self._owners: dict[str, str] = {}
        """The response of each item."""
        self.size = 0
        """Bytes in use."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, response_id: str, body: bytes, history: History) -> None:
        """Keeps a response with the conversation that it ends, and lets go of others if there is no room."""
        size = len(body) + measure_history(history)
        if size > self._max_bytes:
            return
        self._kept[response_id] = KeptResponse(body=body, history=history, size=size)
        self._owners.update(dict.fromkeys(history.items, response_id))
        self.size += size
        while len(self._kept) > self._max_count or self.size > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def find(self, response_id: str) -> KeptResponse:
        """The response of that id.

        Raises:
            ResponseNotFoundError: It is not kept.
        """
        kept = self._kept.get(response_id)
        if kept is None:
            raise ResponseNotFoundError(response_id)
        self._kept.move_to_end(response_id)
        return kept

    def find_previous(self, response_id: str) -> KeptResponse:
        """The response of that id, which another one continues.

        Raises:
            PreviousResponseNotFoundError: It is not kept.
        """
        try:
            return self.find(response_id)
        except ResponseNotFoundError:
            raise PreviousResponseNotFoundError(response_id) from None

    def remove(self, response_id: str) -> None:
        """Lets go of the response of that id.

        Raises:
            ResponseNotFoundError: It is not kept.
        """
        self.find(response_id)
        self._drop(response_id)

    def find_items(self, item_ids: Iterable[str]) -> dict[str, AssistantBlock]:
        """What those items said; without the ones that are not kept."""
        owners = {item_id: self._owners[item_id] for item_id in item_ids if item_id in self._owners}
        return {item_id: self.find(owner).history.items[item_id] for item_id, owner in owners.items()}

    def _drop(self, response_id: str) -> None:
        kept = self._kept.pop(response_id)
        self.size -= kept.size
        for item_id in kept.history.items:
            del self._owners[item_id]


def measure_history(history: History) -> int:
    """Bytes of memory that ``history`` takes if nothing of it is shared."""
    blocks = (block for turn in history.turns for block in turn.blocks)
    return sum(map(sys.getsizeof, history.system)) + sum(map(_measure_block, blocks))


def _measure_block(block: UserBlock | AssistantBlock) -> int:
    match block:
        case Text(text=text):
            return BLOCK_BYTES + sys.getsizeof(text)
        case Thinking(text=text, signature=signature):
            return BLOCK_BYTES + sys.getsizeof(text) + len(signature)
        case Image(data=data) | RedactedThinking(data=data):
            return BLOCK_BYTES + len(data)
        case ToolUse(input=tool_input):
            return BLOCK_BYTES + len(encode_json(tool_input))
        case ToolResult(content=content):
            return BLOCK_BYTES + sum(map(_measure_block, content))
        case _:
            assert_never(block)
