"""What follows on answers of the control plane."""

import pytest

from kiro2api.auth.control import Verdict, judge_models, judge_profiles, judge_usage

EXPIRED = b'{"message":"The bearer token included in the request is invalid."}'
FORBIDDEN = b'{"message":"User is not authorized to make this call."}'
BUILDER_ID = b'{"message":"AWS Builder ID is not supported for this operation."}'
NO_PROFILE = b'{"message":"Invalid profileArn."}'


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"{}", Verdict.READ),
        (400, b"", Verdict.UNAVAILABLE),
        (403, FORBIDDEN, Verdict.UNAVAILABLE),
        (404, b"", Verdict.UNAVAILABLE),
        (401, b"", Verdict.FAILED),
        (403, EXPIRED, Verdict.FAILED),
        (403, b'{"message":"Token expired"}', Verdict.FAILED),
        (302, b"", Verdict.FAILED),
        (408, b"", Verdict.FAILED),
        (429, b"", Verdict.FAILED),
        (500, b"", Verdict.FAILED),
        (503, b"<html>", Verdict.FAILED),
    ],
)
def test_what_an_account_may_not_ask_is_no_fault(status: int, body: bytes, verdict: Verdict) -> None:
    """Unlike an access token that has expired, and what may be well in a minute."""
    assert judge_models(status, body) is verdict
    assert judge_usage(status, body, with_profile=False) is verdict


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"{}", Verdict.READ),
        (400, NO_PROFILE, Verdict.ASK_OTHERWISE),
        (400, EXPIRED, Verdict.FAILED),
        (403, FORBIDDEN, Verdict.UNAVAILABLE),
        (500, b"", Verdict.FAILED),
    ],
)
def test_limits_are_asked_for_again_without_a_profile(status: int, body: bytes, verdict: Verdict) -> None:
    """Only when it may be the profile that is wrong."""
    assert judge_usage(status, body, with_profile=True) is verdict


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b'{"profiles":[]}', Verdict.READ),
        (400, b"", Verdict.ASK_OTHERWISE),
        (401, b"", Verdict.ASK_OTHERWISE),
        (403, FORBIDDEN, Verdict.ASK_OTHERWISE),
        (403, EXPIRED, Verdict.ASK_OTHERWISE),
        (403, BUILDER_ID, Verdict.BUILDER_ID),
        (404, b"", Verdict.ASK_OTHERWISE),
        (429, b"", Verdict.FAILED),
        (500, BUILDER_ID, Verdict.FAILED),
        (502, b"", Verdict.FAILED),
    ],
)
def test_profiles_are_looked_for_in_the_next_region(status: int, body: bytes, verdict: Verdict) -> None:
    """Whenever this one refuses; not when it is ill, or there are none anywhere."""
    assert judge_profiles(status, body) is verdict
