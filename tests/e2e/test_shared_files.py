"""Logins that the Kiro IDE or kiro-cli keep and refresh too: neither logs the other out."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from kiro2api.config import Settings
from kiro2api.provision import Supply, open_supply
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.server import Simulator
from tests.support.proxy import HELLO, Proxy, running_proxy, until

FIRST = "aor" + "f" * 120


@dataclass(frozen=True)
class Keeper:
    """The other program's place for its login, as that program reads and writes it."""

    setting: str
    path: Path
    read: Callable[[], dict[str, str]]
    write: Callable[[str, str, str], None]
    """Takes refresh token, access token and when that ends."""


def keep_in_ide_file(directory: Path) -> Keeper:
    """The JSON file of the Kiro IDE."""
    path = directory / "kiro-auth-token.json"

    def write(refresh_token: str, access_token: str, expires_at: str) -> None:
        login = {"authMethod": "social", "provider": "Google", "unknown": [1]}
        tokens = {"refreshToken": refresh_token, "accessToken": access_token, "expiresAt": expires_at}
        path.write_text(json.dumps(login | tokens))
        path.chmod(0o600)

    def read() -> dict[str, str]:
        found = json.loads(path.read_text())
        assert found["unknown"] == [1]
        return {"refresh": found["refreshToken"], "access": found["accessToken"]}

    return Keeper("kiro_token_file", path, read, write)


def keep_in_cli_store(directory: Path) -> Keeper:
    """The SQLite store of kiro-cli."""
    path = directory / "data.sqlite3"
    with closing(sqlite3.connect(path, autocommit=True)) as store:
        store.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")

    def write(refresh_token: str, access_token: str, expires_at: str) -> None:
        value = {"refresh_token": refresh_token, "access_token": access_token, "expires_at": expires_at, "unknown": 1}
        with closing(sqlite3.connect(path, autocommit=True)) as store:
            store.execute("REPLACE INTO auth_kv VALUES ('kirocli:social:token', ?)", [json.dumps(value)])

    def read() -> dict[str, str]:
        with closing(sqlite3.connect(path, autocommit=True)) as store:
            ((value,),) = store.execute("SELECT value FROM auth_kv").fetchall()
        found = json.loads(value)
        assert found["unknown"] == 1
        return {"refresh": found["refresh_token"], "access": found["access_token"]}

    return Keeper("kiro_cli_store", path, read, write)


KEEPERS = pytest.mark.parametrize("build", [keep_in_ide_file, keep_in_cli_store])


def render_time(seconds_from_now: float) -> str:
    """As both programs write it."""
    return datetime.fromtimestamp(time.time() + seconds_from_now, tz=UTC).isoformat().replace("+00:00", "Z")


def open_shared(keeper: Keeper, home: Path) -> Supply:
    """What a proxy has that was told of the keeper's file."""
    settings = Settings.model_validate({keeper.setting: keeper.path, "state_url": "memory:"}, by_name=True)
    return open_supply(settings, {"HOME": str(home)}, log=lambda *_args, **_fields: None)


async def ask(proxy: Proxy) -> int:
    """The status of a small request."""
    return (await proxy.client.post("/v1/messages", json=HELLO)).status_code


@KEEPERS
async def test_what_a_refresh_brings_is_put_back_into_the_other_program_s_place(
    tmp_path: Path, build: Callable[[Path], Keeper]
) -> None:
    """In its own form and with all else that stands there; the old refresh token is worth nothing any more."""
    keeper = build(tmp_path)
    keeper.write(FIRST, "aoa-old", render_time(-60))
    simulator = Simulator(accounts=Accounts([FIRST], rotate=True, detect_reuse=True))
    async with running_proxy(simulator, supply=open_shared(keeper, tmp_path)) as proxy:
        assert await ask(proxy) == 200
        (grant,) = simulator.accounts.grants

        assert keeper.read() == {"refresh": grant.refresh_token, "access": grant.access_token}
        assert keeper.path.stat().st_mode & 0o077 == 0 or keeper.setting == "kiro_cli_store"


@KEEPERS
async def test_what_the_other_program_has_refreshed_is_taken_over(
    tmp_path: Path, build: Callable[[Path], Keeper]
) -> None:
    """When our access token ends, theirs is used; when that ends too, their refresh token is traded, and not ours."""
    keeper = build(tmp_path)
    keeper.write(FIRST, "aoa-old", render_time(-60))
    simulator = Simulator(accounts=Accounts([FIRST], rotate=True, detect_reuse=True))
    async with running_proxy(simulator, supply=open_shared(keeper, tmp_path)) as proxy:
        assert await ask(proxy) == 200
        simulator.accounts.expire_access_tokens()
        theirs = simulator.accounts.refresh(keeper.read()["refresh"], now=trio.current_time())
        assert theirs is not None
        keeper.write(theirs.refresh_token, theirs.access_token, render_time(3600))
        assert await ask(proxy) == 200
        assert len(simulator.refreshes) == 1
        simulator.accounts.expire_access_tokens()
        assert await ask(proxy) == 200

        assert len(simulator.refreshes) == 2
        await until(lambda: keeper.read()["access"] == simulator.accounts.grants[-1].access_token)
    assert not simulator.accounts.reuses
