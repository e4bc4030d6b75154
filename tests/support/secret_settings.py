"""Settings that are full of secrets, the service that knows them, and the secrets to look for afterwards."""

import json
from pathlib import Path

from kiro2api.simulator.account import Account, AccountKind
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Respond, Script
from kiro2api.simulator.server import Simulator
from tests.support.leaks import make_secret

CLIENT_ID = "a-client-id-which-is-no-secret"
SECRETS = {
    "client key": make_secret("client key"),
    "admin key": make_secret("admin key"),
    "state key": make_secret("state key"),
    "password of the network's proxy": make_secret("password"),
    "key that somebody tried": make_secret("wrong key"),
    "refresh token of a list": make_secret("list", "aor"),
    "refresh token of an entry": make_secret("entry"),
    "refresh token of an identity center": make_secret("idc"),
    "refresh token of a provider": make_secret("idp"),
    "client secret": make_secret("client secret"),
    "API key": make_secret("api key", "ksk_"),
    "revoked refresh token": make_secret("revoked", "aor"),
    "refused refresh token": make_secret("refused"),
    "unlucky refresh token": make_secret("unlucky"),
    "access token in a file": make_secret("found access token"),
}
"""Some look like what they are and some do not: a log that masks by pattern alone would miss the latter."""
DOOMED = {"revoked refresh token": 400, "refused refresh token": 403, "unlucky refresh token": 500}
"""Those that never buy anything, with the status of the answer."""
PROMPT = make_secret("prompt")
PLANTED = make_secret("planted")
"""Sent where it is shown: a search that does not find it looks in the wrong places."""
JSON_TYPE = {"content-type": "application/json"}


def build_simulator() -> Simulator:
    """With an account of each kind, and a refresh service that repeats what it refuses."""
    names = ("refresh token of a list", "refresh token of an entry", *DOOMED)
    accounts = Accounts([SECRETS[name] for name in names], rotate=True, detect_reuse=True)
    accounts.add(
        Account(
            kind=AccountKind.IDC,
            refresh_token=SECRETS["refresh token of an identity center"],
            client_id=CLIENT_ID,
            client_secret=SECRETS["client secret"],
        )
    )
    idp = Account(
        kind=AccountKind.EXTERNAL_IDP, refresh_token=SECRETS["refresh token of a provider"], client_id=CLIENT_ID
    )
    accounts.add(idp)
    accounts.add(Account(kind=AccountKind.API_KEY, api_key=SECRETS["API key"], plan=PLANTED))
    simulator = Simulator(accounts=accounts)
    statuses = {SECRETS[name]: status for name, status in DOOMED.items()}

    def refuse(record: Record) -> Script | None:
        status = statuses.get(record.credential or "")
        if status is None:
            return None
        body = {"error": "invalid_grant", "error_description": record.raw.decode(), "message": str(record.headers)}
        return [Respond(status, JSON_TYPE | {"x-echo": repr(record.raw)}, json.dumps(body).encode())]

    simulator.refresh_responder = refuse
    return simulator


def build_environment(simulator: Simulator, folder: Path, log_format: str) -> dict[str, str]:
    """All secrets in all the variables that take them, and a log as talkative as it can be."""
    social = ["refresh token of an entry", "refused refresh token", "unlucky refresh token"]
    entries: list[dict[str, str]] = [{"refreshToken": SECRETS[name]} for name in social]
    client = {"clientId": CLIENT_ID, "clientSecret": SECRETS["client secret"]}
    entries.append({"auth": "IdC", "refreshToken": SECRETS["refresh token of an identity center"]} | client)
    provider = {"auth": "external_idp", "clientId": CLIENT_ID, "tokenEndpoint": simulator.idp_url}
    entries.append(provider | {"refreshToken": SECRETS["refresh token of a provider"]})
    network = f"http://me:{SECRETS["password of the network's proxy"]}@127.0.0.1:9"
    return {
        "AWS_REFRESHTOKEN": f"{SECRETS['refresh token of a list']},{SECRETS['revoked refresh token']}",
        "KIRO_AUTH_TOKEN": json.dumps(entries),
        "KIRO_API_KEY": SECRETS["API key"],
        "KIRO_CLIENT_TOKEN": SECRETS["client key"],
        "KIRO_ADMIN_TOKEN": SECRETS["admin key"],
        "STATE_KEY": SECRETS["state key"],
        "STATE_URL": f"file:{folder / 'state'}",
        "KIRO_UPSTREAM_URL": simulator.base_url,
        "KIRO_REFRESH_URL": simulator.refresh_url,
        "KIRO_OIDC_URL": simulator.oidc_url,
        "KIRO_CONTROL_URL": simulator.control_url,
        "LIMITS_INTERVAL": "1",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": log_format,
        "LOG_FILE": str(folder / "log.txt"),
        # Nothing listens there: whatever went through it would fail.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), network),
    }


def list_secrets(simulator: Simulator) -> dict[str, str]:
    """Those that were configured, and all that refreshes have brought."""
    grants = simulator.accounts.grants
    access = {f"access token {number}": grant.access_token for number, grant in enumerate(grants)}
    return SECRETS | access | {f"refresh token {number}": grant.refresh_token for number, grant in enumerate(grants)}
