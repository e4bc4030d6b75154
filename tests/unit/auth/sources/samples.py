"""Files as the Kiro IDE and kiro-cli leave them, with made-up secrets that all contain ``HIDDEN``."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

EXPIRES_AT = 1_767_323_045.678
"""2026-01-02T03:04:05.678Z."""
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABC"
SECRET = "HIDDEN"
REFRESH_TOKEN = "aor-HIDDEN-refresh"
ROTATED = "aor-HIDDEN-rotated"

SOCIAL_FILE: Mapping[str, object] = {
    "accessToken": "aoa-HIDDEN-access",
    "refreshToken": REFRESH_TOKEN,
    "profileArn": ARN,
    "expiresAt": "2026-01-02T03:04:05.678Z",
    "authMethod": "social",
    "provider": "Google",
}
IDC_FILE: Mapping[str, object] = {
    "accessToken": "aoa-HIDDEN-access",
    "refreshToken": REFRESH_TOKEN,
    "expiresAt": "2026-01-02T03:04:05Z",
    "authMethod": "IdC",
    "provider": "Enterprise",
    "clientIdHash": "abc123",
    "region": "eu-west-1",
}
REGISTRATION: Mapping[str, object] = {"clientId": "id-HIDDEN", "clientSecret": "secret-HIDDEN", "expiresAt": "x"}
EXTERNAL_FILE: Mapping[str, object] = {
    "refreshToken": REFRESH_TOKEN,
    "authMethod": "external_idp",
    "clientId": "id-HIDDEN",
    "tokenEndpoint": "https://login.example.com/token",
}

SOCIAL_ROW: Mapping[str, object] = {
    "access_token": "aoa-HIDDEN-access",
    "refresh_token": REFRESH_TOKEN,
    "expires_at": "2026-01-02T03:04:05.678000000Z",
    "profile_arn": ARN,
    "provider": "google",
}
IDC_ROW: Mapping[str, object] = {
    "access_token": "aoa-HIDDEN-access",
    "refresh_token": "aor-HIDDEN-idc",
    "expires_at": "2026-01-02T03:04:05.678000000Z",
    "region": "eu-west-1",
    "start_url": "https://view.awsapps.com/start",
    "oauth_flow": "DeviceCode",
    "scopes": ["codewhisperer:completions", "codewhisperer:conversations"],
}
REGISTRATION_ROW: Mapping[str, object] = {"client_id": "id-HIDDEN", "client_secret": "secret-HIDDEN"}
EXTERNAL_ROW: Mapping[str, object] = {
    "refresh_token": "aor-HIDDEN-external",
    "client_id": "id-HIDDEN",
    "token_endpoint": "https://login.example.com/token",
}
SOCIAL_KEY = "kirocli:social:token"
IDC_KEY = "kirocli:odic:token"
IDC_REGISTRATION_KEY = "kirocli:odic:device-registration"
EXTERNAL_KEY = "kirocli:external-idp:token"
Q_KEY = "codewhisperer:odic:token"
Q_REGISTRATION_KEY = "codewhisperer:odic:device-registration"
ALL_ROWS: Mapping[str, object] = {
    EXTERNAL_KEY: EXTERNAL_ROW,
    IDC_KEY: IDC_ROW,
    IDC_REGISTRATION_KEY: REGISTRATION_ROW,
    SOCIAL_KEY: SOCIAL_ROW,
}


def write_json(path: Path, value: object, *, indent: int | None = 2) -> Path:
    """The file, which only we may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    path.chmod(0o600)
    return path


def write_store(path: Path, rows: Mapping[str, object]) -> Path:
    """A store in WAL mode whose rows hold JSON, or what is no text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS auth_kv (key TEXT PRIMARY KEY, value TEXT)")
        for key, value in rows.items():
            text = json.dumps(value) if isinstance(value, dict) else value
            connection.execute("INSERT OR REPLACE INTO auth_kv VALUES (?, ?)", (key, text))
    path.chmod(0o600)
    return path


def read_row(path: Path, key: str) -> str:
    """The text of one row."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT value FROM auth_kv WHERE key = ?", (key,)).fetchone()[0])
