"""Why the choice fell as it did, or why there is none; the first for the log, in labels only."""

import math
from collections.abc import Collection, Iterable, Sequence

from kiro2api.auth.pool.entry import Entry
from kiro2api.auth.pool.selection import Cooling, Standing, Unusable

MAX_NAMED = 5
"""Credentials named in one log line."""


def explain_refusal(entries: Sequence[Entry], now: float, model: str | None) -> Cooling | Unusable:
    """Why none of ``entries`` can be used for ``model``, told for all that are not refused it, tried or not."""
    concerned = [entry for entry in entries if model is None or not entry.refuses(model, now)] or entries
    running = [cooldown for cooldown in (entry.cooldowns.find(now) for entry in concerned) if cooldown is not None]
    throttled = [until for standing, until in running if standing is Standing.RATE_LIMITED]
    if throttled:
        return Cooling(until=min(throttled), reason=Standing.RATE_LIMITED)
    if len(running) < len(concerned):
        return Unusable(reason=Standing.USABLE)
    waiting = [
        (until, standing) for standing, until in running if standing not in {Standing.QUOTA_EXHAUSTED, Standing.REVOKED}
    ]
    if waiting:
        until, reason = min(waiting, key=lambda cooldown: cooldown[0])
        return Cooling(until=until, reason=reason)
    if not running or any(standing is Standing.REVOKED for standing, _ in running):
        return Unusable(reason=Standing.REVOKED)
    return Cooling(until=min(until for _, until in running), reason=Standing.QUOTA_EXHAUSTED)


def render_obstacle(entry: Entry, now: float, *, exclude: Collection[str], model: str | None) -> str:
    """What keeps the credential from being used: one word, and the seconds it lasts where that is known."""
    state = entry.build_state(now)
    if state.standing is not Standing.USABLE:
        wait = "" if state.until is None else f" {math.ceil(state.until - now)}s"
        return f"{state.standing.value}{wait}"
    if entry.credential_id in exclude:
        return "tried"
    if model is not None and entry.refuses(model, now):
        return "model_refused"
    if model is not None and not entry.may_have(model, now):
        return "lacks_model"
    return "not_ready"


def render_passed_over(entries: Sequence[Entry], obstacles: Iterable[str]) -> str:
    """The end of the sentence: the first few of ``entries`` with what keeps them, and how many there are beside."""
    if not entries:
        return ""
    named = [f"{entry.label} {obstacle}" for entry, obstacle in zip(entries[:MAX_NAMED], obstacles, strict=False)]
    rest = [f"+{len(entries) - MAX_NAMED}"] if len(entries) > MAX_NAMED else []
    return f"; passed over: {', '.join(named + rest)}"
