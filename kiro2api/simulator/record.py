"""What the simulator remembers of one request."""

from dataclasses import dataclass, field
from typing import Literal

import trio

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.accounts import Grant

type RecordOutcome = Literal["whole", "cut_by_peer", "cut_by_us"]


@dataclass(slots=True, kw_only=True, eq=False)
class Record:
    """One request and how its answer ended; times are Trio's."""

    time: float
    """When the whole request had arrived."""
    method: str
    path: str
    """Without query, and without a region."""
    headers: dict[str, str]
    """Names in lower case."""
    raw: bytes
    body: JSON
    """``raw`` as JSON; ``None`` if it is none."""
    query: dict[str, str] = field(default_factory=dict)
    region: str | None = None
    """The one in the address, if that names one."""
    credential: str | None = None
    """The refresh token that the request shows, or that its access token descends from, before any rotation; or the
    API key that it shows."""
    rule: str | None = None
    """The rule that the request breaks, if it was refused for one."""
    grant: Grant | None = None
    """What a refresh brought; set when it takes effect, before the answer is sent."""
    charged: bool = False
    """The account has paid for this generate call."""
    status: int | None = None
    """The status sent; ``None`` before the head."""
    outcome: RecordOutcome | None = None
    finished_at: float | None = None
    finished: trio.Event = field(default_factory=trio.Event)

    def finish(self, outcome: RecordOutcome) -> None:
        """The answer has ended; only the first call counts."""
        if not self.finished.is_set():
            self.outcome = outcome
            self.finished_at = trio.current_time()
            self.finished.set()
