"""What follows on an answer of the control plane, by its status and a few words.

What an account may not ask is a fact about the account and no fault.
"""

import enum
from http import HTTPStatus

_TOKEN_WORDS = (b"bearer token", b"token expired", b"invalid token")


class Verdict(enum.Enum):
    """What follows on an answer."""

    READ = "read"
    """It has what was asked for: parse it."""
    ASK_OTHERWISE = "ask_otherwise"
    """Ask for the same without the profile's ARN, or in the next region."""
    UNAVAILABLE = "unavailable"
    """The account has no such thing, and will not have it soon; no fault of anybody."""
    BUILDER_ID = "builder_id"
    """The account is a Builder ID, which has no profile of its own: ``BUILDER_ID_PROFILE_ARN`` stands for one."""
    FAILED = "failed"
    """Nothing is known; ask again another time."""


def judge_usage(status: int, body: bytes, *, with_profile: bool) -> Verdict:
    """What follows on the answer to a question for limits, which named a profile or did not."""
    verdict = _judge(status, body)
    # Some hosts want the ARN, and to others the one that inference takes is an error.
    is_about_profile = status == HTTPStatus.BAD_REQUEST and with_profile and verdict is not Verdict.FAILED
    return Verdict.ASK_OTHERWISE if is_about_profile else verdict


def judge_models(status: int, body: bytes) -> Verdict:
    """What follows on the answer to a question for models."""
    return _judge(status, body)


def judge_profiles(status: int, body: bytes) -> Verdict:
    """What follows on the answer to a question for profiles; a list without any is read, and the next region asked.

    In a region that is not the credential's the service may call a good access token invalid.
    """
    if status == HTTPStatus.OK:
        return Verdict.READ
    if not _is_refusal(status):
        return Verdict.FAILED
    return Verdict.BUILDER_ID if b"builder id is not supported" in body.lower() else Verdict.ASK_OTHERWISE


def _judge(status: int, body: bytes) -> Verdict:
    if status == HTTPStatus.OK:
        return Verdict.READ
    text = body.lower()
    # The end of an access token is found out by inference; here it says nothing about the account.
    is_about_token = status == HTTPStatus.UNAUTHORIZED or any(word in text for word in _TOKEN_WORDS)
    return Verdict.UNAVAILABLE if _is_refusal(status) and not is_about_token else Verdict.FAILED


def _is_refusal(status: int) -> bool:
    """Whether asking the same again would be refused again."""
    is_passing = status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and not is_passing
