"""Questions to the control plane. The mail address that the service would tell with the limits is not asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec

from kiro2api.auth.credentials import TokenType

MODELS_PER_PAGE = 50
PROFILES_PER_PAGE = 10
"""The most that the service allows."""
ORIGIN = "AI_EDITOR"
BUILDER_ID_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
"""What the Kiro IDE sends for a Builder ID, which the service tells of no profile of its own and asks for one all the
same (reported by several projects in 2026)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """A question; the answer is to be read up to ``MAX_ANSWER_BYTES``."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = b""


def build_auth_headers(access_token: str, token_type: TokenType) -> dict[str, str]:
    """The headers by which the upstream knows who asks.

    An access token of an enterprise's identity provider and an API key are refused without a word on what they are.
    """
    headers = {"authorization": f"Bearer {access_token}"}
    if token_type is not TokenType.BEARER:
        headers["tokentype"] = token_type.value
    return headers


def build_usage_request(
    *, base_url: str, access_token: str, token_type: TokenType, profile_arn: str | None
) -> ControlRequest:
    """Asks for the limits; to be asked with the profile's ARN first, and without where :func:`judge_usage` says so."""
    query = {"origin": ORIGIN, "resourceType": "AGENTIC_REQUEST"} | _name_profile(profile_arn)
    return _build_get(base_url, "/getUsageLimits", query, _build_headers(access_token, token_type))


def build_models_request(
    *, base_url: str, access_token: str, token_type: TokenType, profile_arn: str | None, next_page: str | None = None
) -> ControlRequest:
    """Asks for the models. API keys have no profile and get no list."""
    query = {"origin": ORIGIN, "maxResults": str(MODELS_PER_PAGE)} | _name_profile(profile_arn)
    if next_page is not None:
        query["nextToken"] = next_page
    return _build_get(base_url, "/ListAvailableModels", query, _build_headers(access_token, token_type))


def build_profiles_request(
    *, base_url: str, access_token: str, token_type: TokenType, next_page: str | None = None
) -> ControlRequest:
    """Asks for the profiles in the region of ``base_url``."""
    body: dict[str, object] = {"maxResults": PROFILES_PER_PAGE}
    if next_page is not None:
        body["nextToken"] = next_page
    headers = _build_headers(access_token, token_type) | {"content-type": "application/json"}
    url = base_url.rstrip("/") + "/ListAvailableProfiles"
    return ControlRequest(method="POST", url=url, headers=headers, body=msgspec.json.encode(body))


def _build_get(base_url: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> ControlRequest:
    return ControlRequest(method="GET", url=f"{base_url.rstrip('/')}{path}?{urlencode(query)}", headers=headers)


def _build_headers(access_token: str, token_type: TokenType) -> dict[str, str]:
    return build_auth_headers(access_token, token_type) | {"accept": "application/json", "accept-encoding": "identity"}


def _name_profile(profile_arn: str | None) -> dict[str, str]:
    return {} if profile_arn is None else {"profileArn": profile_arn}
