"""What the routes are given to work with: built once by the composition root, shared by all requests."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kiro2api.auth.broker import CredentialBroker
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.complexity import Complexity
from kiro2api.protocol.usage import Calibration
from kiro2api.routes.admission import Admission
from kiro2api.routes.intake import Intake
from kiro2api.routes.life import Lives
from kiro2api.routes.truncations import TruncationBook
from kiro2api.supervision import Health
from kiro2api.upstream import Silence, Upstream
from kiro2api.watchdog import LoopWatchdog


class Log(Protocol):
    """The part of a structured logger that is used here: an event's name and fields, never a body or a secret."""

    def info(self, event: str, **fields: object) -> object: ...

    def warning(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


@dataclass(slots=True, kw_only=True)
class Service:
    """All that a route may need."""

    broker: CredentialBroker
    upstream: Upstream
    catalog: Catalog
    log: Log
    client_key: str = field(repr=False)
    admin_key: str | None = field(repr=False, default=None)
    """``None``: nothing is served below ``/admin``."""
    find_state_trouble: Callable[[], str] = lambda: ""
    """Why the store of states does not reach as far as it should; empty if it does."""
    silence: Mapping[Complexity, Silence]
    """How long the upstream may be silent, by the class of the request."""
    lives: Lives
    admission: Admission
    health: Health
    """The background tasks."""
    watchdog: LoopWatchdog
    new_id: Callable[[str], str]
    """A fresh id with the given prefix."""
    new_conversation_id: Callable[[], str]
    """For clients that do not name their session."""
    max_tool_description_length: int
    intake: Intake
    truncations: TruncationBook = field(default_factory=TruncationBook)
    calibration: Calibration = field(default_factory=Calibration)
    """What the answers so far tell about the estimates."""
    disable_stream: bool = False
    """Whether answers that are asked for as a stream are sent in one piece, when they are whole."""
    ping_seconds: float = 10.0
    """Silence towards a streaming client after which it gets a sign of life."""
    now: Callable[[], float] = time.time
    is_draining: bool = False
    """Whether the process is about to end: it says so on ``/readyz`` and takes no more exchanges."""
