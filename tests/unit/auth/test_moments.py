"""Times in words."""

import math

import pytest

from kiro2api.auth.moments import describe_clock, describe_moment, describe_span
from tests.support.reports import NOW
from tests.support.timezones import local_time_zone

HOUR = 3600.0
DAY = 86400.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (54 * 60.0, "54 min"),
        (90 * 60.0, "2 h"),
        (47 * HOUR, "47 h"),
        (48 * HOUR, "2 days"),
        (400 * DAY, "400 days"),
    ],
)
def test_a_span_has_one_unit(seconds: float, expected: str) -> None:
    """The one that says most about it."""
    assert describe_span(seconds) == expected


@pytest.mark.parametrize(
    ("zone", "ahead", "expected"),
    [
        pytest.param("UTC", 54 * 60, "03:54", id="today"),
        pytest.param("CET-1", 54 * 60, "04:54", id="today elsewhere"),
        pytest.param("UTC", 22 * HOUR, "3 Jan 01:00", id="tomorrow"),
        pytest.param("UTC", -4 * HOUR, "1 Jan 23:00", id="yesterday"),
        pytest.param("UTC", 9 * DAY, "11 Jan", id="days away"),
        pytest.param("UTC", 400 * DAY, "6 Feb 2027", id="another year"),
        pytest.param("UTC", -40 * DAY, "23 Nov 2025", id="last year"),
    ],
)
def test_the_clock_is_that_of_the_machine(zone: str, ahead: float, expected: str) -> None:
    """With the date if it is not today's, and without the time of day if it is days away."""
    with local_time_zone(zone):
        assert describe_clock(NOW + ahead, NOW) == expected


def test_a_moment_says_both() -> None:
    """On either side of now."""
    with local_time_zone("UTC"):
        assert describe_moment(NOW + 54 * 60, NOW) == "in 54 min (03:54)"
        assert describe_moment(NOW - 6 * 60, NOW) == "6 min ago (02:54)"


@pytest.mark.parametrize("when", [0.0, -1e12, 1e18, math.inf])
def test_a_time_that_no_calendar_has_is_shown_all_the_same(when: float) -> None:
    """As the nearest one that it has."""
    with local_time_zone("CET-1"):
        assert describe_clock(when, NOW) in {"2 Jan 1970", "1 Jan 9999"}
