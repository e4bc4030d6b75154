"""Tool calls that fail again and again in the same form, and what the model is told of them.

A model that gets the same error for the same call at times makes the call once more, and goes on so until somebody
stops it. From the third failure on, the result says that repetition does not help. What a result says depends on what
stands before it in the conversation and on nothing else.
"""

import msgspec

from kiro2api.protocol.conversation import ToolUse

MIN_FAILURES = 3
"""One may be chance, and a second try is sensible."""

_ENCODER = msgspec.json.Encoder(order="sorted")
"""The same text for the same input, in whatever order the model wrote its keys."""


class FailureTally:
    """How often each call of a conversation has failed since it last succeeded; results come in their order."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[bytes, int]] = {}
        """By the tool's name and the input's text: of tools that never fail no text is made."""

    def receive_result(self, call: ToolUse, *, is_error: bool) -> int:
        """How often ``call`` has failed by now, without a success in between."""
        if is_error:
            counts = self._counts.setdefault(call.name, {})
            text = _ENCODER.encode(call.input)
            counts[text] = counts.get(text, 0) + 1
            return counts[text]
        if counts := self._counts.get(call.name, {}):
            counts.pop(_ENCODER.encode(call.input), None)
        return 0


def build_failure_text(count: int) -> str:
    """What the result of a call says that has failed ``count`` times; empty while that is nothing to speak of."""
    if count < MIN_FAILURES:
        return ""
    return (
        f"[This exact call has now failed {count} times, and repeating it will not help. Read the error, then change "
        "the input or the approach, or ask the user.]"
    )
