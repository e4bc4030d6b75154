"""Requests as the simulator takes note of them, without a socket."""

from urllib.parse import urlencode

from kiro2api.protocol.jsontext import JSONObject
from kiro2api.simulator.account import Account, AccountKind
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.record import Record
from tests.unit.simulator.bodies import encode

IDC_ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABCDEFGHIJKL"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def build_account(kind: AccountKind, *, client_id: str = "client", region: str = "us-east-1") -> Account:
    """An account named after its kind."""
    is_key = kind is AccountKind.API_KEY
    return Account(
        kind=kind,
        refresh_token="" if is_key else kind.value,
        api_key=kind.value if is_key else "",
        client_id=client_id,
        client_secret="" if kind is AccountKind.EXTERNAL_IDP else "secret",
        region=region,
        profile_arn=IDC_ARN if kind is AccountKind.IDC else None,
    )


def build_record(
    path: str,
    body: JSONObject | None = None,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    region: str | None = None,
) -> Record:
    """A request with a JSON body, or with none."""
    return Record(
        time=0.0,
        method=method,
        path=path,
        query=query or {},
        region=region,
        headers={"content-type": "application/json", **(headers or {})},
        raw=b"" if body is None else encode(body),
        body=body,
    )


def build_form(path: str, **fields: str) -> Record:
    """A request with a form."""
    record = build_record(path, headers=FORM)
    record.raw = urlencode(fields).encode()
    return record


def authorize(accounts: Accounts, account: Account) -> dict[str, str]:
    """The headers that ``account`` shows at time 0."""
    bearer = account.api_key or accounts.issue(account.name, now=0.0)
    headers = {"authorization": f"Bearer {bearer}"}
    if account.kind is AccountKind.EXTERNAL_IDP:
        headers["tokentype"] = "EXTERNAL_IDP"
    if account.kind is AccountKind.API_KEY:
        headers["tokentype"] = "API_KEY"
    return headers
