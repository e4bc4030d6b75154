"""A model that plays a task: it uses the client's own tools turn by turn, and says at last what came of them.

It is a function of the request alone, as a real one is: which tool results are there decides what comes next, so a
request that the client repeats is answered as before, and a conversation without results begins anew.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kiro2api.simulator.calls import Call
from kiro2api.simulator.record import Record
from kiro2api.simulator.request import Request, ToolResult, read_request
from kiro2api.simulator.script import Cut, Event, Script

FRAGMENT_CHARS = 9
"""Of a tool use's input in one event: cuts fall inside of names, paths and escapes."""
OPENING = "I am at it. "
"""What the model says before the tools of each turn."""
CLOSING = "All done. The last results:"
"""What the model says at the end, before them."""
SUMMARY = "A note was to be written, and shown."
"""What the model says when it is to sum up."""
TOKENS = 1000
"""That an answer and its request have taken, if the task does not say otherwise."""

_SUMMARY_ORDERS = ("Do NOT call any tools.", "CONTEXT CHECKPOINT COMPACTION")
"""Claude Code and Codex say so when the model is to sum up, and leave the tools in; opencode leaves them out."""


@dataclass(slots=True, kw_only=True)
class Task:
    """The model's part; a responder of the simulator's.

    Requests without tools, such as those for a title, are left to the small model.
    """

    turns: Sequence[Sequence[Call]]
    tokens: dict[int, int] = field(default_factory=dict)
    """What the answer of the turn with that number says, the first time, that it has taken."""
    troubles: Mapping[int, deque[Script]] = field(default_factory=dict)
    """Answers that are given first in the turn with that number, once each."""
    requests: list[Request] = field(default_factory=list)
    """Those that were part of the task, answered with a trouble or without."""
    summaries: int = 0
    """How often the model was to sum up."""

    def __call__(self, record: Record) -> Script | None:
        request = read_request(record.body)
        if not request.current.tools:
            return None
        if any(order in request.current.content for order in _SUMMARY_ORDERS):
            self.summaries += 1
            return [*_say(SUMMARY), *_account("END_TURN")]
        self.requests.append(request)
        number = self._count_done(request)
        if self.troubles.get(number):
            return self.troubles[number].popleft()
        return self._close(request) if number == len(self.turns) else self._play(number)

    def cut(self, number: int) -> Script:
        """The answer of the turn with that number, broken off when half of the last input is out."""
        [*earlier, last] = self.turns[number]
        events = list(_use(last, _name_use(number, len(earlier))))
        return [*_say(OPENING), *_use_all(number, earlier), *events[: len(events) // 2], Cut()]

    def _play(self, number: int) -> Script:
        events = [*_say(OPENING), *_use_all(number, self.turns[number])]
        return [*events, *_account("TOOL_USE", self.tokens.pop(number, TOKENS))]

    def _count_done(self, request: Request) -> int:
        """How many turns have all their results."""
        have = {result.tool_use_id for result in read_results(request)}
        for number, calls in enumerate(self.turns):
            if not have.issuperset(_name_use(number, place) for place in range(len(calls))):
                return number
        return len(self.turns)

    def _close(self, request: Request) -> Script:
        texts = [result.text() for result in read_results(request)[-len(self.turns[-1]) :]]
        return [*_say("\n".join([CLOSING, *texts])), *_account("END_TURN")]


def read_results(request: Request) -> list[ToolResult]:
    """All tool results in a request, in their order."""
    return [result for message in request.user_messages for result in message.tool_results]


def _name_use(number: int, place: int) -> str:
    return f"tooluse_turn{number}_{place}"


def _say(text: str) -> Iterator[Event]:
    yield Event("assistantResponseEvent", {"content": text})


def _use_all(number: int, calls: Sequence[Call]) -> Iterator[Event]:
    for place, call in enumerate(calls):
        yield from _use(call, _name_use(number, place))


def _use(call: Call, tool_use_id: str) -> Iterator[Event]:
    identity = {"name": call.name, "toolUseId": tool_use_id}
    source = msgspec.json.encode(call.input).decode()
    yield Event("toolUseEvent", identity)
    for start in range(0, len(source), FRAGMENT_CHARS):
        yield Event("toolUseEvent", {**identity, "input": source[start : start + FRAGMENT_CHARS]})
    yield Event("toolUseEvent", {**identity, "stop": True})


def _account(stop_reason: str, tokens: int = TOKENS) -> Iterator[Event]:
    usage = {"uncachedInputTokens": tokens - 100, "outputTokens": 100, "totalTokens": tokens}
    yield Event("metadataEvent", {"tokenUsage": usage, "stopReason": stop_reason})
    yield Event("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": 0.01})
