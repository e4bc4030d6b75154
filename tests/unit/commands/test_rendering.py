"""Credentials as text and as JSON."""

import json
from collections.abc import Iterator

import pytest

from kiro2api.auth.pool import Standing
from kiro2api.commands.rendering import (
    WIDTH,
    describe_expiry,
    fold,
    render_columns,
    render_iso,
    render_json,
    render_table,
    render_trial,
    render_trials,
    render_view,
)
from kiro2api.commands.trials import Trial, Verdict
from tests.support.reports import NOW, build_shown
from tests.support.timezones import local_time_zone

WELL = Trial(
    label="work",
    kind="idc",
    source="/f",
    verdict=Verdict.WELL,
    why="Its access token is good for 60 min, until 04:00.",
    expires_at=NOW + 3600,
)
FAILED = Trial(label="social-1", kind="social", source="X", verdict=Verdict.FAILED, why="Broken. " + "What to do. " * 9)


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Times are told in UTC."""
    with local_time_zone("UTC"):
        yield


def test_the_table_has_a_row_for_each_and_a_sentence_for_each_that_is_not_well() -> None:
    """What it looks like, to the letter."""
    throttled = build_shown(
        label="work", kind="idc", standing=Standing.RATE_LIMITED, until=NOW + 32, quota_left=None, expires_at=None
    )

    assert render_table([build_shown(), throttled], NOW) == (
        "label     kind    state      expires in      refreshed ago  used  cooling for   quota left\n"
        "social-1  social  usable     54 min (03:54)  6 min (02:54)    12  -                   49.5\n"
        "work      idc     throttled  -               6 min (02:54)    12  32 s (03:00)           -\n"
        "\n"
        "work: The upstream throttles this account. It is left alone, and used again in 32 s (03:00).\n"
    )


@pytest.mark.parametrize("standing", Standing)
def test_a_usual_table_fits_the_terminal(standing: Standing) -> None:
    """Whatever the state, with days in it or hours."""
    far = {"standing": standing, "until": NOW + 9 * 86400, "expires_at": NOW + 20 * 3600, "uses": 12345}
    views = [build_shown(), build_shown(**far, trouble="status 400 invalid_grant: log in again")]

    assert max(map(len, render_table(views, NOW).splitlines())) <= WIDTH


def test_one_that_waits_for_its_first_refresh_needs_no_sentence() -> None:
    """That is how each of them begins."""
    assert render_table([build_shown(expires_at=None, refreshed_at=None)], NOW).count("\n") == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "54 min (03:54)"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": None}, "-"),
        ({"expires_at": None, "kind": "api-key"}, "never"),
    ],
)
def test_an_access_token_lasts(changes: dict[str, object], expected: str) -> None:
    """For a time, no more, not yet, or for ever."""
    assert describe_expiry(build_shown(**changes), NOW) == expected


def test_a_quota_is_not_rounded_away() -> None:
    """As many digits as the service counts in."""
    assert render_table([build_shown(quota_left=1234567.25)], NOW).splitlines()[1].endswith("  1234567.25")


def test_a_view_as_json_has_each_time_twice() -> None:
    """In epoch seconds and in ISO 8601, both absent together."""
    shown = render_view(build_shown())

    assert (shown["expires_at"], shown["expires_at_iso"]) == (NOW + 3240, "2026-01-02T03:54:00Z")
    assert (shown["until"], shown["until_iso"]) == (None, None)
    assert json.loads(render_json({"credentials": [shown]})) == {"credentials": [shown]}


def test_trials_are_set_side_by_side() -> None:
    """Label, kind and verdict in columns, the sentences folded beside them."""
    assert render_trials([WELL, FAILED]) == (
        "work      idc     well    Its access token is good for 60 min, until 04:00.\n"
        "social-1  social  failed  Broken. What to do. What to do. What to do. What to do. What to do. What\n"
        "                          to do. What to do. What to do. What to do.\n"
    )


def test_a_trial_as_json() -> None:
    """All that is known of it."""
    assert render_trial(WELL) == {
        "label": "work",
        "kind": "idc",
        "source": "/f",
        "verdict": "well",
        "why": "Its access token is good for 60 min, until 04:00.",
        "expires_at": NOW + 3600,
        "expires_at_iso": "2026-01-02T04:00:00Z",
    }


def test_columns_are_as_wide_as_their_cells() -> None:
    """And nothing stands behind the last one."""
    assert render_columns([("a", "12"), ("bbb", "3")], right=[1]) == ["a    12", "bbb   3"]
    assert render_columns([("a", "12"), ("bbb", "3")]) == ["a    12", "bbb  3"]


def test_a_word_that_is_too_long_stays_whole() -> None:
    """A path is there to be copied."""
    path = "/" + "long-path/" * 20

    assert fold(f"See {path} for more.") == f"See\n{path}\nfor more."


@pytest.mark.parametrize(("when", "expected"), [(None, None), (NOW + 0.9, "2026-01-02T03:00:00Z")])
def test_iso_times_are_whole_seconds_in_utc(when: float | None, expected: str | None) -> None:
    """Whatever the machine's time zone."""
    with local_time_zone("CET-1"):
        assert render_iso(when) == expected
