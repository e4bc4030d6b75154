"""What the small model thinks, and how it signs that.

A signature holds for the model and for the words that the client got; without it the service does not take reasoning
back. That it also holds for the account is left out here.
"""

import base64
import hashlib
from collections.abc import Iterator

from kiro2api.simulator.request import Request
from kiro2api.simulator.script import Event

THOUGHTS = ("Let me think: ", "the question is plain, ", "and so is the answer.")
THINKING_MARK = "<thinking_mode>"
"""Begins the first message of a client that asks in words for thinking between tags."""
REDACTED = base64.b64encode("".join(THOUGHTS).encode()[::-1]).decode()

_EVENT = "reasoningContentEvent"


def sign_thought(text: str, model_id: str) -> str:
    """The model's signature of ``text``."""
    return base64.b64encode(hashlib.sha256(f"{model_id}\0{text}".encode()).digest()).decode()


def think_before(request: Request, model_id: str) -> Iterator[Event]:
    """Reasoning before the answer: asked for in the request's fields, or by ``think first`` anywhere in the text."""
    thinking = request.read_field("thinking")
    is_shown = thinking.get("display") != "omitted"
    if thinking.get("type") != "adaptive" and "think first" not in request.current.content.casefold():
        return
    shown = THOUGHTS if is_shown else ()
    for thought in shown:
        yield Event(_EVENT, {"text": thought})
    yield Event(_EVENT, {"signature": sign_thought("".join(shown), model_id)})


def think_between_tags(request: Request) -> str:
    """The beginning of the text of a model that was asked in words; may be empty."""
    if not request.user_messages[0].content.startswith(THINKING_MARK):
        return ""
    return f"<thinking>\n{''.join(THOUGHTS)}\n</thinking>\n\n"


def think_after(request: Request) -> Iterator[Event]:
    """Reasoning that nobody can read, which comes last of all."""
    if request.read_field("reasoning").get("effort", "none") != "none":
        yield Event(_EVENT, {"redactedContent": REDACTED})
