"""The books of a soak: what clients asked for, what the upstream was asked, what the proxy's log says about both.

An entry is dropped as soon as all three have spoken and agree, so that an hour of traffic takes no more memory than a
minute.
"""

from collections import Counter
from dataclasses import dataclass, field

import trio

from benchmarks.soak_traffic import Order, find_number
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Script

LEFT = "left"
"""The outcome of a client that left."""
MAX_EXAMPLES = 10
"""Of what was wrong, that are told in words; the rest is counted."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request."""

    order: Order
    calls: int = 0
    """That the upstream saw."""
    outcome: str = ""
    """The client's; empty until it is over."""
    line: JSONObject | None = None
    """The proxy's own, in its log."""


@dataclass(slots=True)
class Books:
    """All requests of a soak, and their sums."""

    entries: dict[int, Entry] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    """Lines of the proxy's log other than those of exchanges, by their level and message."""
    sums: Counter[str] = field(default_factory=Counter)
    wrongs: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    _news: trio.Event = field(default_factory=trio.Event)

    def open(self, order: Order) -> None:
        self.entries[order.number] = Entry(order=order)
        self.faults[order.fault.name if order.fault else ""] += 1

    def respond(self, record: Record) -> Script | None:
        """What the upstream does with a call."""
        entry = self.entries.get(find_number(record.raw))
        if entry is None:
            self._find_wrong("a call upstream for no open request", record.path)
            return None
        entry.calls += 1
        return entry.order.select_script(entry.calls - 1)

    def close(self, number: int, outcome: str) -> None:
        """The client has its answer, or has left."""
        self.outcomes[outcome] += 1
        self.entries[number].outcome = outcome
        self._settle(number)

    def receive_line(self, line: JSON) -> None:
        """One line of the proxy's log."""
        self._news.set()
        self._news = trio.Event()
        if not isinstance(line, dict):
            self._find_wrong("a line that is no object", str(line)[:200])
        elif line.get("message") != "exchange":
            self.lines[" ".join(str(line.get(name, "")) for name in ("level", "message", "causes")).rstrip()] += 1
        else:
            number = int(str(line.get("request_id")))
            if number not in self.entries or self.entries[number].line is not None:
                self._find_wrong("a line for no open request", str(line))
                return
            self.entries[number].line = line
            self._settle(number)

    async def wait_settled(self) -> None:
        """Returns when no line is missing; a client that left may never have had its request read."""
        while any(entry.outcome != LEFT or entry.calls for entry in self.entries.values()):
            await self._news.wait()

    def finish(self) -> None:
        """Closes the books: what is still open never came to be."""
        for number, entry in self.entries.items():
            if entry.outcome != LEFT or entry.calls:
                self._find_wrong("a request without a line", f"{number}: {entry.outcome}, {entry.calls} calls")
            else:
                self.sums["left before the proxy had the request"] += 1
        self.entries.clear()

    def _settle(self, number: int) -> None:
        entry = self.entries[number]
        if entry.line is None or not entry.outcome:
            return
        del self.entries[number]
        logged = entry.line.get("upstream_calls")
        has_left = entry.outcome == LEFT
        shown = f"{number}: {entry.calls} calls, fault {entry.order.fault and entry.order.fault.name}, {entry.line}"
        self.sums["calls seen"] += entry.calls
        self.sums["calls logged"] += logged if isinstance(logged, int) else 0
        self.sums["requests that got there"] += entry.calls > 0
        self.sums["retries"] += max(0, entry.calls - 1)
        self.sums["calls that the client took back on the way"] += has_left and logged == entry.calls + 1
        if logged != entry.calls and not (has_left and logged == entry.calls + 1):
            self._find_wrong("calls seen and calls logged differ", shown)
        if entry.calls > 1 + entry.order.retries:
            self._find_wrong("more retries than allowed", shown)
        if entry.outcome == "no proper end" or entry.outcome.startswith("broken"):
            self._find_wrong("an answer that breaks off", f"{entry.outcome}: {shown}")
        elif entry.order.fault is None and not has_left and entry.outcome != "completed":
            self._find_wrong("a failure without a fault", f"{entry.outcome}: {shown}")

    def _find_wrong(self, what: str, example: str) -> None:
        self.wrongs[what] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{what}: {example}")
