"""An answer as a list of steps, and the bytes of its frames.

The head of a streamed answer is sent at the first :class:`Head`. A script that has neither a ``Head`` nor another step
that decides about the head (:data:`DECIDES_HEAD`) starts with a ``Head`` of its own, and every script that runs out
ends with an :class:`End`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import msgspec
import trio

from kiro2api.protocol.eventstream.encoder import encode_message
from kiro2api.protocol.eventstream.messages import Message, string_headers

EVENT_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True, slots=True)
class Respond:
    """A plain answer, not a stream; nothing follows."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a streamed answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": EVENT_STREAM})


@dataclass(frozen=True, slots=True)
class Send:
    """``data`` as it is, as one HTTP chunk."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """One frame with an event."""

    event_type: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExceptionFrame:
    """One frame with a modelled error."""

    exception_type: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """One frame with an unmodelled error, which lives in its headers only."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Silence until ``event`` is set."""

    event: trio.Event


@dataclass(frozen=True, slots=True)
class Hang:
    """Silence until the peer leaves or the server stops."""


@dataclass(frozen=True, slots=True)
class HangBeforeHead:
    """As :class:`Hang`, and no head is sent."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is closed without the final chunk: with a RST, or without ``reset`` with a FIN."""

    reset: bool = True


@dataclass(frozen=True, slots=True)
class CutBeforeHead:
    """As :class:`Cut`, and no head is sent."""

    reset: bool = True


type Silence = Pause | WaitFor | Hang | HangBeforeHead


@dataclass(frozen=True, slots=True)
class Proceed:
    """From here on the answer is the one that would have been given without a script.

    What the request changes is changed now, for example a refresh token rotated, unless the peer has left.
    """

    hold: Sequence[Silence | Cut | CutBeforeHead] = ()
    """What happens after that and before the first byte of the answer."""


@dataclass(frozen=True, slots=True)
class End:
    """The final chunk; the connection stays."""


type Frame = Event | ExceptionFrame | ErrorFrame
type Step = Respond | Head | Send | Frame | Silence | Cut | CutBeforeHead | Proceed | End
type Script = Sequence[Step]

DECIDES_HEAD = (Respond, Head, HangBeforeHead, CutBeforeHead, Proceed)


def add_head(script: Script) -> Script:
    """``script`` with the head that it leaves to us."""
    if any(isinstance(step, DECIDES_HEAD) for step in script):
        return script
    return [Head(), *script]


def encode_frame(frame: Frame) -> bytes:
    """The wire bytes of ``frame``."""
    match frame:
        case Event():
            headers = {":event-type": frame.event_type, **_JSON, ":message-type": "event"}
            payload = msgspec.json.encode(frame.payload)
        case ExceptionFrame():
            headers = {
                ":exception-type": frame.exception_type,
                **_JSON,
                ":message-type": "exception",
            }
            payload = msgspec.json.encode(frame.payload)
        case ErrorFrame():
            headers = {
                ":error-code": frame.code,
                ":error-message": frame.message,
                ":message-type": "error",
            }
            payload = b""
        case _:
            assert_never(frame)
    return encode_message(Message(headers=string_headers(headers), payload=payload))


_JSON = {":content-type": "application/json"}
