"""The three forms of a refresh: of the desktop service, of AWS SSO OIDC, and of an enterprise's identity provider.

A refresh takes effect when its answer is made, not when its request arrives.
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qs

import msgspec

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.account import OIDC_KINDS, AccountKind
from kiro2api.simulator.accounts import Accounts, Grant
from kiro2api.simulator.addresses import IDP_PATH, OIDC_PATH
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Respond
from kiro2api.simulator.service import build_oauth_failure, build_refresh_failure

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class _TokenRequest:
    """What a refresh by OAuth shows; empty for what it does not."""

    grant_type: str
    client_id: str
    client_secret: str
    refresh_token: str


def read_refresh_token(record: Record) -> str:
    """The refresh token that a refresh of any form shows; empty if there is none."""
    return _read_form(record).refresh_token if record.path == IDP_PATH else _read(record.body, "refreshToken")


def find_refreshed(accounts: Accounts, record: Record) -> str | None:
    """The credential whose live refresh token a refresh shows; only the desktop service lets strangers in."""
    shown = read_refresh_token(record)
    if record.path not in {OIDC_PATH, IDP_PATH}:
        return accounts.find_credential(shown)
    owner = accounts.find_owner(shown)
    return None if owner is None or accounts.is_dead(shown) else owner.name


def answer_refresh(accounts: Accounts, record: Record, *, now: float) -> Respond:
    """An access token for the refresh token that the request shows, or the refusal; the record keeps what it brought.

    A refresh token of another kind of account, client or region is as good as an unknown one, and is not hurt.
    """
    match record.path:
        case path if path == OIDC_PATH:
            shown = _TokenRequest(
                grant_type=_read(record.body, "grantType"),
                client_id=_read(record.body, "clientId"),
                client_secret=_read(record.body, "clientSecret"),
                refresh_token=_read(record.body, "refreshToken"),
            )
            return _answer_oidc(accounts, record, shown, now=now)
        case path if path == IDP_PATH:
            return _answer_idp(accounts, record, _read_form(record), now=now)
        case _:
            return _answer_social(accounts, record, now=now)


def _answer_social(accounts: Accounts, record: Record, *, now: float) -> Respond:
    shown = read_refresh_token(record)
    owner = accounts.find_owner(shown)
    if owner is None or owner.kind is AccountKind.SOCIAL:
        record.grant = accounts.refresh(shown, now=now)
    if record.grant is None:
        return build_refresh_failure(401 if accounts.is_dead(shown) else 400)
    body: dict[str, JSON] = {
        "accessToken": record.grant.access_token,
        "refreshToken": record.grant.refresh_token,
        "expiresIn": record.grant.expires_in,
    }
    profile_arn = accounts[record.grant.credential].profile
    return _build_success({**body, "profileArn": profile_arn} if profile_arn else body)


def _answer_oidc(accounts: Accounts, record: Record, shown: _TokenRequest, *, now: float) -> Respond:
    if not shown.client_secret:
        return build_oauth_failure("invalid_request")
    traded = _trade(accounts, shown, OIDC_KINDS, region=record.region, now=now)
    if isinstance(traded, str):
        return build_oauth_failure(traded)
    record.grant = traded
    body: dict[str, JSON] = {
        "accessToken": traded.access_token,
        "tokenType": "Bearer",
        "expiresIn": traded.expires_in,
        "refreshToken": traded.refresh_token,
        "idToken": None,
    }
    return _build_success(body)


def _answer_idp(accounts: Accounts, record: Record, shown: _TokenRequest, *, now: float) -> Respond:
    media_type = record.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if media_type != _FORM:
        return build_oauth_failure("invalid_request")
    traded = _trade(accounts, shown, {AccountKind.EXTERNAL_IDP}, region=None, now=now)
    if isinstance(traded, str):
        return build_oauth_failure(traded)
    record.grant = traded
    body: dict[str, JSON] = {
        "token_type": "Bearer",
        "expires_in": traded.expires_in,
        "access_token": traded.access_token,
        "refresh_token": traded.refresh_token,
    }
    return _build_success(body)


def _trade(
    accounts: Accounts, shown: _TokenRequest, kinds: Collection[AccountKind], *, region: str | None, now: float
) -> Grant | str:
    """What the refresh brings, or the name of the error."""
    if not (shown.grant_type and shown.client_id and shown.refresh_token):
        return "invalid_request"
    if shown.grant_type != "refresh_token":
        return "unsupported_grant_type"
    identity = (shown.client_id, shown.client_secret)
    if not any(
        account.kind in kinds and (account.client_id, account.client_secret) == identity and not account.client_expired
        for account in accounts
    ):
        return "invalid_client"
    owner = accounts.find_owner(shown.refresh_token)
    if owner is None or owner.kind not in kinds or owner.client_id != shown.client_id:
        return "invalid_grant"
    if region not in {None, owner.region}:
        return "invalid_grant"
    return accounts.refresh(shown.refresh_token, now=now) or "invalid_grant"


def _read(body: JSON, key: str) -> str:
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _read_form(record: Record) -> _TokenRequest:
    fields = parse_qs(record.raw.decode("latin-1"))
    return _TokenRequest(
        grant_type=fields.get("grant_type", [""])[0],
        client_id=fields.get("client_id", [""])[0],
        client_secret="",
        refresh_token=fields.get("refresh_token", [""])[0],
    )


def _build_success(body: dict[str, JSON]) -> Respond:
    return Respond(200, {"content-type": "application/json"}, msgspec.json.encode(body))
