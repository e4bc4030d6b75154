"""Whether a request is so large that the upstream may refuse it: as warnings, for nobody knows the limits for certain.

The numbers are what the service's own command line client keeps to, or where observers saw requests fail. Pictures have
a limit of their own and do not count.
"""

from collections.abc import Iterator, Sequence

from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import ChatMessage, UserInputMessage, UserMessage

LARGE_BODY_BYTES = 600_000
"""Bodies of some 615,000 bytes failed on the hosts that came first."""
HEAVY_BODY_WEIGHT = 1_320_000
"""Passed on today's hosts, while 1,360,000 failed."""
OTHER_CHARACTER_WEIGHT = 8
"""Of a character beyond ASCII, which itself weighs 1."""
MESSAGE_CHARS = 600_000
RESULT_CHARS = 800_000
HISTORY_ENTRIES = 10_000
TOOLS = 48

BODY_WARNINGS = frozenset({Repair.LARGE_BODY, Repair.HEAVY_BODY})
"""Of these alone it is known that the upstream refuses without naming a reason."""

_WEIGHT_OF_BYTE = 4
"""At most: a character of two bytes weighs eight."""
_NOT_ASCII = bytes(range(128, 256))


def find_size_warnings(state: bytes, messages: Sequence[ChatMessage], tool_count: int) -> set[Repair]:
    """What about a request is large.

    Args:
        state: The encoded conversation.
        messages: All of it, the current one last.
        tool_count: Declarations of tools.
    """
    users = [message.user_input_message for message in messages if isinstance(message, UserMessage)]
    pictures = sum(len(image.source.bytes.data) for user in users for image in user.images)
    found = {
        Repair.LARGE_BODY: len(state) - pictures > LARGE_BODY_BYTES,
        Repair.HEAVY_BODY: _is_heavy(state, pictures),
        Repair.LONG_TEXT: any(_has_long_text(user) for user in users),
        Repair.LONG_HISTORY: len(messages) - 1 > HISTORY_ENTRIES,
        Repair.MANY_TOOLS: tool_count > TOOLS,
    }
    return {warning for warning, is_true in found.items() if is_true}


def weigh(data: bytes) -> int:
    """The weight of text in UTF-8."""
    if data.isascii():
        return len(data)
    ascii_count = len(data.translate(None, _NOT_ASCII))
    return ascii_count + OTHER_CHARACTER_WEIGHT * (len(data.decode()) - ascii_count)


def _is_heavy(state: bytes, pictures: int) -> bool:
    if (len(state) - pictures) * _WEIGHT_OF_BYTE <= HEAVY_BODY_WEIGHT:
        return False
    return weigh(state) - pictures > HEAVY_BODY_WEIGHT


def _has_long_text(message: UserInputMessage) -> bool:
    return len(message.content) > MESSAGE_CHARS or any(
        length > RESULT_CHARS for length in _list_result_lengths(message)
    )


def _list_result_lengths(message: UserInputMessage) -> Iterator[int]:
    context = message.user_input_message_context
    for result in context.tool_results if context else ():
        yield sum(len(part.text) for part in result.content)
