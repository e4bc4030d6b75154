"""The model's reasoning on its way to the client and back.

Only the upstream can read what it signed or enciphered. A client gets that as ``encrypted_content``, marked, and sends
it back as it is; what bears no mark of ours was made by another service, and would be refused as a forgery.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from kiro2api.protocol.conversation import RedactedThinking, Thinking
from kiro2api.protocol.responses import schema

SIGNATURE_MARK: Final = "kiro.signature."
REDACTED_MARK: Final = "kiro.redacted."


def build_encrypted_content(block: Thinking | RedactedThinking) -> str | None:
    """What the client shall keep of ``block`` beside its text, if there is anything."""
    match block:
        case RedactedThinking(data=data):
            return REDACTED_MARK + data
        case Thinking(signature=signature):
            return SIGNATURE_MARK + signature if signature else None
        case _:
            assert_never(block)


def read_reasoning(item: schema.Reasoning) -> Thinking | RedactedThinking | None:
    """The block that was given to the client as ``item``; ``None`` if it was none of ours, or cannot be told."""
    content = item.encrypted_content or ""
    if content.startswith(REDACTED_MARK):
        return RedactedThinking(data=content.removeprefix(REDACTED_MARK))
    if content.startswith(SIGNATURE_MARK):
        return Thinking(text=_join(item.summary or ()), signature=content.removeprefix(SIGNATURE_MARK))
    return None


def _join(parts: Sequence[schema.Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, schema.TextPart))
