"""Credentials as text for people, and as JSON for their programs.

Columns are as wide as what is in them; sentences are folded at ``WIDTH``.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import msgspec

from kiro2api.auth.moments import describe_clock, describe_span
from kiro2api.auth.pool import Standing
from kiro2api.auth.reports import API_KEY_KIND, READY, READY_TO_REFRESH, CredentialView
from kiro2api.commands.trials import Trial
from kiro2api.protocol.jsontext import JSON, JSONObject

WIDTH = 100
"""Columns of a terminal that everybody has."""
NOTHING = "-"
GAP = "  "

_TIMES = ("until", "expires_at", "refreshed_at", "quota_resets_at")
_HEADINGS = ("label", "kind", "state", "expires in", "refreshed ago", "used", "cooling for", "quota left")
_NUMBERS = frozenset({5, 7})
"""Columns that are set to the right."""
_WORDS = {Standing.QUOTA_EXHAUSTED.value: "used up", Standing.RATE_LIMITED.value: "throttled"}
"""Shorter ones for some states; the others are what their values say."""


def render_table(views: Sequence[CredentialView], now: float) -> str:
    """A row for each credential, and below the table a sentence for each that has more to be said."""
    rows = [_HEADINGS, *(_render_row(view, now) for view in views)]
    lines = render_columns(rows, right=_NUMBERS)
    remarks = [f"{view.label}: {view.why}" for view in views if _needs_remark(view)]
    return (
        "\n".join([*lines, *([""] if remarks else []), *(fold(remark, indent=len(GAP)) for remark in remarks)]) + "\n"
    )


def render_columns(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """The rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    to_right = frozenset(right)
    return [
        GAP.join(
            cell.rjust(width) if index in to_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def fold(text: str, *, indent: int = 0) -> str:
    """A paragraph, its lines after the first set in."""
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def render_view(view: CredentialView) -> JSONObject:
    """A credential as JSON: each time as epoch seconds, and once more as ISO 8601 in UTC."""
    fields: dict[str, JSON] = asdict(view)
    return fields | {f"{name}_iso": render_iso(getattr(view, name)) for name in _TIMES}


def render_trials(trials: Sequence[Trial]) -> str:
    """A paragraph for each trial."""
    rows = [(trial.label, trial.kind, trial.verdict.value) for trial in trials]
    heads = render_columns(rows)
    width = max(map(len, heads))
    paragraphs = (f"{head.ljust(width)}{GAP}{trial.why}" for head, trial in zip(heads, trials, strict=True))
    return "".join(f"{fold(paragraph, indent=width + len(GAP))}\n" for paragraph in paragraphs)


def render_trial(trial: Trial) -> JSONObject:
    """A trial as JSON."""
    return {
        "label": trial.label,
        "kind": trial.kind,
        "source": trial.source,
        "verdict": trial.verdict.value,
        "why": trial.why,
        "expires_at": trial.expires_at,
        "expires_at_iso": render_iso(trial.expires_at),
    }


def render_iso(when: float | None) -> str | None:
    """The time in UTC, to the second."""
    return None if when is None else f"{datetime.fromtimestamp(int(when), tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def render_json(value: JSONObject) -> str:
    """The value on several lines."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def describe_expiry(view: CredentialView, now: float) -> str:
    """How long the access token lasts, and until when."""
    if view.expires_at is None:
        return "never" if view.kind == API_KEY_KIND else NOTHING
    return "expired" if view.expires_at <= now else _render_distance(view.expires_at, now)


def _render_row(view: CredentialView, now: float) -> tuple[str, ...]:
    return (
        view.label,
        view.kind,
        _WORDS.get(view.state, view.state.replace("_", " ")),
        describe_expiry(view, now),
        NOTHING if view.refreshed_at is None else _render_distance(view.refreshed_at, now),
        str(view.used),
        NOTHING if view.until is None else _render_distance(view.until, now),
        NOTHING if view.quota_left is None else f"{view.quota_left:.10g}",
    )


def _render_distance(when: float, now: float) -> str:
    return f"{describe_span(abs(when - now))} ({describe_clock(when, now)})"


def _needs_remark(view: CredentialView) -> bool:
    return view.why not in {"", READY, READY_TO_REFRESH}
