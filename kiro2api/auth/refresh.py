"""Refresh requests and answers, as values.

An answer is read leniently where that is harmless: a refresh that brought an access token has often ended the life of
the old refresh token, so that nothing beside the two may make it fail.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import assert_never
from urllib.parse import urlencode

import msgspec

from kiro2api.auth.credentials import ExternalIdpLogin, IdcLogin, RefreshableLogin, SocialLogin
from kiro2api.auth.errors import RefreshFailedError, RefreshRefusedError, RefreshRejectedError

MAX_ANSWER_BYTES = 64 * 1024
"""Real answers have some 4 KiB; an error page of an edge or a proxy has more and tells nothing."""
DEFAULT_LIFETIME_SECONDS = 3600.0
"""Of an access token that comes without a usable ``expiresIn``: what the service usually says."""
MIN_LIFETIME_SECONDS = 1.0
"""Anything shorter cannot be meant: the token would be refreshed again before its first use."""
MAX_LIFETIME_SECONDS = 24 * 3600.0
"""Far above the eight hours that AWS gives; a larger number is a mistake in the unit."""
ADVISORY_SECONDS = 300.0
"""How long before expiry a refresh begins: time for several attempts. At most half of an access token's life."""
ADVISORY_JITTER = 0.2
"""Share by which that is longer or shorter, so that credentials bought together are not refreshed together."""
MANDATORY_SECONDS = 60.0
"""So long before expiry an access token is no more handed out: it has to get there. At most a tenth of its life."""
MIN_ADVISORY_PAUSE_SECONDS = 30.0
"""Between a refresh and the next advisory one, whatever lifetime the service gives."""

_JSON_HEADERS = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
_FORM_HEADERS = {**_JSON_HEADERS, "content-type": "application/x-www-form-urlencoded"}

_DEAD = frozenset({"invalid_grant", "expired_token", "invalid_client", "unauthorized_client"})
"""OAuth's words for logins that will never do again: the refresh token or the client's registration is over."""
_DEAD_WORDS = (b"invalid_grant", b"invalid refresh token provided")
"""The same in the words of the social service, which is not bound to OAuth's form."""
_ERROR_WORD = re.compile(r"[a-z_]{1,40}")
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshEndpoints:
    """Where refresh tokens are traded."""

    social: str
    oidc: str
    """With ``{region}`` in the place of the region that issued the login, or without, for one place for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """A POST that trades a refresh token."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh brought."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    """Replaces the one that was sent; ``None`` when that one stays valid."""
    expires_in: float
    """Seconds, within ``MIN_LIFETIME_SECONDS`` and ``MAX_LIFETIME_SECONDS``."""
    profile_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSchedule:
    """When the next refresh is due, in seconds from the one that has just ended."""

    advisory_in: float
    mandatory_in: float


class _SocialRequest(msgspec.Struct, rename="camel"):
    refresh_token: str


class _OidcRequest(msgspec.Struct, rename="camel"):
    client_id: str
    client_secret: str
    refresh_token: str
    grant_type: str = "refresh_token"


class _Answer(msgspec.Struct, rename="camel"):
    access_token: str
    refresh_token: object = None
    expires_in: msgspec.Raw = msgspec.Raw(b"null")
    profile_arn: object = None


class _OAuthAnswer(msgspec.Struct):
    access_token: str
    refresh_token: object = None
    expires_in: msgspec.Raw = msgspec.Raw(b"null")


class _Fault(msgspec.Struct):
    error: object = None


def build_refresh(login: RefreshableLogin, *, endpoints: RefreshEndpoints) -> RefreshRequest:
    """The request that refreshes ``login``, where and how its kind wants it."""
    match login:
        case SocialLogin():
            body = msgspec.json.encode(_SocialRequest(refresh_token=login.refresh_token))
            return RefreshRequest(url=endpoints.social, headers=_JSON_HEADERS, body=body)
        case IdcLogin():
            body = msgspec.json.encode(
                _OidcRequest(
                    client_id=login.client_id, client_secret=login.client_secret, refresh_token=login.refresh_token
                )
            )
            url = endpoints.oidc.replace("{region}", login.region)
            return RefreshRequest(url=url, headers=_JSON_HEADERS, body=body)
        case ExternalIdpLogin():
            form = {"grant_type": "refresh_token", "client_id": login.client_id, "refresh_token": login.refresh_token}
            return RefreshRequest(url=login.token_endpoint, headers=_FORM_HEADERS, body=urlencode(form).encode())
        case _:
            assert_never(login)


def parse_refresh_answer(status: int, body: bytes, *, retry_after: str | None = None) -> Refreshed:
    """What the service's answer brings, whichever the service.

    Args:
        status: The HTTP status.
        body: The decoded body; more than ``MAX_ANSWER_BYTES`` need not be read to be refused.
        retry_after: The header of that name; only its form in seconds is understood.

    Raises:
        RefreshRejectedError: The refresh token will never do again.
        RefreshRefusedError: The service says no, and not why.
        RefreshFailedError: Anything else than an access token.
    """
    if status == HTTPStatus.OK:
        return _parse_success(body)
    word = _parse_error_word(body)
    told = f"status {status} {word}".strip()
    if _is_dead(status, word, body):
        raise RefreshRejectedError(told)
    if status in _REFUSED:
        raise RefreshRefusedError(told, retry_after=_parse_retry_after(retry_after))
    raise RefreshFailedError(told, retry_after=_parse_retry_after(retry_after))


def build_schedule(lifetime: float, *, draw: float) -> RefreshSchedule:
    """The schedule of an access token that lives ``lifetime`` seconds; ``draw`` is a random number from 0 to 1."""
    ahead = ADVISORY_SECONDS * (1 + ADVISORY_JITTER * (2 * draw - 1))
    return RefreshSchedule(
        advisory_in=max(MIN_ADVISORY_PAUSE_SECONDS, lifetime - min(ahead, lifetime / 2)),
        mandatory_in=lifetime - min(MANDATORY_SECONDS, lifetime / 10),
    )


def _parse_success(body: bytes) -> Refreshed:
    if len(body) > MAX_ANSWER_BYTES:
        raise RefreshFailedError(f"answer longer than {MAX_ANSWER_BYTES} bytes")
    answer = _decode_answer(body)
    if not _is_header_text(answer.access_token):
        raise RefreshFailedError("accessToken empty, or unfit for a header")
    return Refreshed(
        access_token=answer.access_token,
        refresh_token=_parse_text(answer.refresh_token),
        expires_in=_parse_lifetime(answer.expires_in),
        profile_arn=_parse_text(answer.profile_arn) if isinstance(answer, _Answer) else None,
    )


def _decode_answer(body: bytes) -> _Answer | _OAuthAnswer:
    """The answer in AWS's spelling, or in OAuth's."""
    unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    with suppress(*unreadable):
        return msgspec.json.decode(body, type=_Answer)
    with suppress(*unreadable):
        return msgspec.json.decode(body, type=_OAuthAnswer)
    # Not chained: the parser's error quotes what it read.
    raise RefreshFailedError("answer without a readable accessToken")


def _is_dead(status: int, word: str, body: bytes) -> bool:
    """Whether the login is over; a 403 says so of nobody, whatever its words: it may be an edge's."""
    if status == HTTPStatus.BAD_REQUEST:
        return word in _DEAD or any(words in body.lower() for words in _DEAD_WORDS)
    return status == HTTPStatus.UNAUTHORIZED and word in _DEAD


def _parse_error_word(body: bytes) -> str:
    """OAuth's word for what is wrong, if the body has one."""
    try:
        word = msgspec.json.decode(body, type=_Fault).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return word if isinstance(word, str) and _ERROR_WORD.fullmatch(word) else ""


def _parse_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _parse_lifetime(value: msgspec.Raw) -> float:
    try:
        seconds = msgspec.json.decode(value, type=float, strict=False)
    except msgspec.DecodeError:
        return DEFAULT_LIFETIME_SECONDS
    # NaN, which lenient reading takes from a string, is not greater than anything.
    if not seconds >= MIN_LIFETIME_SECONDS:
        return DEFAULT_LIFETIME_SECONDS
    return min(seconds, MAX_LIFETIME_SECONDS)


def _parse_retry_after(value: str | None) -> float | None:
    if value is None or not (value.isascii() and value.isdecimal()):
        return None
    return float(value)


def _is_header_text(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value
