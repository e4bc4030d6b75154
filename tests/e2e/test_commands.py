"""``kiro2api credentials``, ``credentials test`` and ``import``, beside a running proxy and without one."""

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from kiro2api.auth.state.record import Notes
from kiro2api.commands import instance
from kiro2api.commands.credentials import Console, show_credentials, tell_trials
from kiro2api.provision import open_supply
from kiro2api.simulator.account import Account, AccountKind
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.script import Script
from kiro2api.simulator.server import Simulator
from kiro2api.simulator.service import build_refresh_failure
from tests.e2e.test_process import BASE_ENVIRONMENT, client_of, point_at, running_program
from tests.support.proxy import HELLO, running_proxy
from tests.support.redis import redis_server
from tests.support.settings import load
from tests.unit.auth.sources.samples import SOCIAL_FILE, write_json

pytestmark = pytest.mark.slow

ADMIN_KEY = "canary-admin-key-0123456789"
TOKENS = [f"canary-refresh-token-{letter}" * 5 for letter in "abcd"]
API_KEY = "ksk_canary-api-key"


@asynccontextmanager
async def running_simulator(accounts: Accounts | None = None) -> AsyncIterator[Simulator]:
    """A simulated Kiro until the end of the block."""
    simulator = Simulator(accounts=accounts)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        yield simulator
        nursery.cancel_scope.cancel("the test is over")


def build_environment(simulator: Simulator, home: Path, **variables: str) -> dict[str, str]:
    """The environment of a process whose files are all below ``home``."""
    urls = {"KIRO_OIDC_URL": simulator.oidc_url, "KIRO_CONTROL_URL": simulator.control_url}
    return {**point_at(simulator), **urls, "HOME": str(home), "TZ": "UTC", "LIMITS_INTERVAL": "0", **variables}


async def run(*arguments: str, home: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """``python -m kiro2api`` with these arguments; no secret of this module is in what it says."""
    with trio.fail_after(30):
        done = await trio.run_process(
            [sys.executable, "-m", "kiro2api", *arguments],
            cwd=home,
            env={**BASE_ENVIRONMENT, **environment},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    said = (done.stdout + done.stderr).decode()
    assert [word for word in ("canary", "Traceback", "arn:") if word in said] == []
    return done


def has_no_token(simulator: Simulator, text: str) -> bool:
    """Whether no token that the service has given out is in ``text``; it has given out some."""
    grants = simulator.accounts.grants
    return bool(grants) and not any(token in text for g in grants for token in (g.access_token, g.refresh_token))


def fail_refresh(status: int | None) -> Script | None:
    """The script of a refresh that fails in this way, or of one that does not."""
    return None if status is None else [build_refresh_failure(status)]


class Look:
    """A command inside this process: what it says, and its exit code."""

    def __init__(self, simulator: Simulator, home: Path, **variables: str) -> None:
        self.environ = build_environment(simulator, home, **variables)
        self.settings = load(self.environ, require_credentials=True)
        self.supply = open_supply(self.settings, self.environ, log=self._log)
        self.out, self.err = io.StringIO(), io.StringIO()

    @property
    def said(self) -> str:
        """What it has said, with single blanks between the words."""
        return " ".join((self.out.getvalue() + self.err.getvalue()).split())

    async def show(self, *, as_json: bool = False) -> int:
        console = Console(out=self.out, err=self.err, as_json=as_json)
        return await show_credentials(self.settings, self.supply, console, environ=self.environ)

    async def test(self, *, as_json: bool = False) -> int:
        console = Console(out=self.out, err=self.err, as_json=as_json)
        return await tell_trials(self.settings, self.supply, console, log=self._log)

    def _log(self, _level: int, _event: str, /, **_fields: object) -> None:
        """Nobody reads it."""


async def test_before_any_refresh_the_table_has_what_is_configured(tmp_path: Path) -> None:
    """Nothing is sent to show it."""
    async with running_simulator() as simulator:
        environment = build_environment(simulator, tmp_path, AWS_REFRESHTOKEN=",".join(TOKENS), KIRO_API_KEY=API_KEY)
        done = await run("credentials", home=tmp_path, environment=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        lines = done.stdout.decode().splitlines()
        assert "state store in" in lines[0]
        rows = [line.split() for line in lines if line.startswith(("social-", "api-key-"))]
        assert rows == [
            *(["social-" + n, "social", "usable", "-", "-", "0", "-", "-"] for n in "1234"),
            ["api-key-1", "api-key", "usable", "never", "-", "0", "-", "-"],
        ]
        assert not simulator.requests


async def test_a_test_refreshes_each_once_and_tells_what_is_wrong(tmp_path: Path) -> None:
    """One is well, one's login is over, one cannot be had just now, one is refused; a key is not refreshed."""
    async with running_simulator() as simulator:
        failures = dict(zip(TOKENS[1:], (400, 503, 401), strict=True))
        simulator.refresh_responder = lambda record: fail_refresh(failures.get(record.credential or ""))
        look = Look(simulator, tmp_path, AWS_REFRESHTOKEN=",".join(TOKENS), KIRO_API_KEY=API_KEY)
        assert await look.test() == 1
        said = look.out.getvalue()
        assert [line.split()[:3] for line in said.splitlines() if not line.startswith(" ")] == [
            ["social-1", "social", "well"],
            *(["social-" + n, "social", "failed"] for n in "234"),
            ["api-key-1", "api-key", "not"],
        ]
        words = ("good for 60 min", "The login is over", "AWS_REFRESHTOKEN", "Try again in a minute", "most often")
        assert [word for word in words if word not in " ".join(said.split())] == []
        assert (len(simulator.refreshes), len(simulator.requests)) == (4, 4)
        assert has_no_token(simulator, said)


async def test_what_a_test_has_refreshed_is_stored(tmp_path: Path) -> None:
    """The table shows it, and another test refreshes once more with the refresh token that took the place."""
    async with running_simulator(Accounts(rotate=True, detect_reuse=True)) as simulator:
        for count in (1, 2):
            assert (await Look(simulator, tmp_path).test(), len(simulator.refreshes)) == (0, count)
        shown = Look(simulator, tmp_path)
        assert await shown.show() == 0
        assert "social-1 social usable 60 min (" in shown.said
        assert has_no_token(simulator, shown.said)


async def test_both_speak_json(tmp_path: Path) -> None:
    """Times in epoch seconds and in ISO 8601; the state store's trouble; nothing else on standard output."""
    async with running_simulator() as simulator:
        test, show = Look(simulator, tmp_path), Look(simulator, tmp_path)
        assert (await test.test(as_json=True), await show.show(as_json=True)) == (0, 0)
        tested, shown = json.loads(test.out.getvalue()), json.loads(show.out.getvalue())
        [trial], [credential] = tested["credentials"], shown["credentials"]
        assert (tested["well"], trial["label"], trial["verdict"]) == (True, "social-1", "well")
        assert (tested["state_store"], shown["state_store"], shown["instance"]) == (
            {"trouble": ""},
            {"trouble": ""},
            None,
        )
        assert (credential["state"], credential["why"]) == ("usable", "Ready.")
        assert credential["expires_at"] == trial["expires_at"]
        assert credential["expires_at_iso"] == trial["expires_at_iso"]


async def test_a_test_beside_a_running_proxy_harms_nobody(tmp_path: Path) -> None:
    """Refresh tokens that are replaced whenever they are used pass from one to the other."""
    async with running_simulator(Accounts(rotate=True, detect_reuse=True)) as simulator:
        environment = build_environment(simulator, tmp_path)
        async with (
            running_program(cwd=tmp_path, environment=environment) as program,
            client_of(program) as client,
        ):
            for _ in range(3):
                assert (await client.post("/v1/messages", json=HELLO)).status_code == 200
                simulator.accounts.expire_access_tokens()
                assert (await run("credentials", "test", home=tmp_path, environment=environment)).returncode == 0
            assert (await client.post("/v1/messages", json=HELLO)).status_code == 200
            assert len(simulator.refreshes) == 4
        assert not simulator.accounts.reuses
        assert has_no_token(simulator, program.output)


async def test_a_running_proxy_is_asked_first(tmp_path: Path) -> None:
    """It knows what no store has: here that the login is over. With another key it says nothing."""
    simulator = Simulator()
    simulator.refresh_responder = lambda _record: fail_refresh(400)
    async with running_proxy(simulator, kiro_admin_token=ADMIN_KEY) as proxy:
        await proxy.client.post("/v1/messages", json=HELLO)
        variables = {"PORT": proxy.url.rpartition(":")[2], "KIRO_ADMIN_TOKEN": ADMIN_KEY}
        shown, machine = Look(simulator, tmp_path, **variables), Look(simulator, tmp_path, **variables)
        wrong = Look(simulator, tmp_path, **{**variables, "KIRO_ADMIN_TOKEN": "canary" * 4})
        assert (await shown.show(), await machine.show(as_json=True), await wrong.show()) == (0, 0, 0)
        assert f"As the proxy at {proxy.url} sees them." in shown.said
        assert "social-1 social revoked" in shown.said
        assert "social-1: Its login is refused for good" in shown.said
        answer = json.loads(machine.out.getvalue())
        assert (answer["instance"], answer["credentials"][0]["state"]) == (proxy.url, "revoked")
        assert f"{proxy.url} does not take KIRO_ADMIN_TOKEN" in wrong.said


async def test_what_is_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what is not there; the store is read instead, and the reason told."""
    monkeypatch.setattr(instance, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        async with running_simulator() as simulator:
            waiting = Look(simulator, tmp_path, KIRO_ADMIN_TOKEN=ADMIN_KEY, PORT=port)
            assert await waiting.show() == 0
    assert "did not answer within 0.2 s" in waiting.said
    refused = Look(simulator, tmp_path, KIRO_ADMIN_TOKEN=ADMIN_KEY, PORT=port)
    assert await refused.show() == 0
    assert "no proxy was found at" in refused.said


async def test_the_key_is_shown_to_nobody_but_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirection is not followed, and a proxy of the environment not used."""
    async with running_simulator() as elsewhere, running_simulator() as simulator:
        monkeypatch.setenv("HTTP_PROXY", elsewhere.base_url)
        monkeypatch.setenv("ALL_PROXY", elsewhere.base_url)
        look = Look(simulator, tmp_path, KIRO_ADMIN_TOKEN=ADMIN_KEY, PORT=simulator.base_url.rpartition(":")[2])
        assert await look.show() == 0
        assert "As they stand in" in look.out.getvalue()
        assert [record.path for record in simulator.requests] == ["/admin/credentials"]
        assert not elsewhere.requests


async def test_what_is_kept_in_memory_is_not_put_at_risk(tmp_path: Path) -> None:
    """A new refresh token would be lost: nothing is sent, and the exit code is that of the configuration."""
    async with running_simulator() as simulator:
        look = Look(simulator, tmp_path, STATE_URL="memory:")
        assert (await look.test(), look.out.getvalue(), len(simulator.requests)) == (78, "", 0)
        assert "Set STATE_URL" in look.said
        assert await look.show() == 0
        assert "the configuration alone" in look.out.getvalue()


async def test_a_login_in_a_shared_file_is_refreshed_and_written_back(tmp_path: Path) -> None:
    """Also without a store, and though the access token that stands there would do."""
    async with running_simulator(Accounts(rotate=True)) as simulator:
        token_file = write_json(tmp_path / "token", {**SOCIAL_FILE, "expiresAt": "2036-01-02T03:04:05.678Z"})
        look = Look(simulator, tmp_path, AWS_REFRESHTOKEN="", KIRO_TOKEN_FILE=str(token_file), STATE_URL="memory:")
        assert (await look.test(), len(simulator.refreshes)) == (0, 1)
        [grant] = simulator.accounts.grants
        assert json.loads(token_file.read_text())["refreshToken"] == grant.refresh_token
        assert has_no_token(simulator, look.out.getvalue())


async def test_the_login_of_an_identity_center_is_refreshed_where_it_was_issued(tmp_path: Path) -> None:
    """With its client, whose registration may be over."""
    account = Account(
        refresh_token=TOKENS[0], kind=AccountKind.IDC, client_id="id", client_secret="secret", region="eu-west-1"
    )
    entry = {"auth": "IdC", "refreshToken": TOKENS[0], "clientId": "id", "clientSecret": "secret", "label": "work"}
    async with running_simulator(Accounts([])) as simulator:
        simulator.accounts.add(account)
        variables = {"AWS_REFRESHTOKEN": "", "KIRO_AUTH_TOKEN": json.dumps([{**entry, "region": "eu-west-1"}])}
        well = Look(simulator, tmp_path, **variables)
        assert (await well.test(), well.out.getvalue()[:15]) == (0, "work  idc  well")
        account.client_expired = True
        over = Look(simulator, tmp_path, **variables)
        assert await over.test() == 1
        assert "The login is over (status 401 invalid_client" in over.out.getvalue()


async def test_a_credential_that_is_set_aside_is_told_of_though_its_refresh_is_well(tmp_path: Path) -> None:
    """A running proxy has found out that the account is locked, which no refresh tells."""
    async with running_simulator() as simulator:
        look = Look(simulator, tmp_path)
        [credential] = look.supply.loaded.credentials
        locked = Notes(cooldowns={"suspended": time.time() + 3600})
        await look.supply.store.exchange_notes(credential.credential_id, locked)
        assert await look.test() == 0
        assert "All the same it is not used now. AWS has locked the account" in look.said


async def test_states_that_do_not_open_are_told_of(tmp_path: Path) -> None:
    """Another key has sealed them."""
    async with running_simulator() as simulator:
        assert await Look(simulator, tmp_path, STATE_KEY="a" * 16).test() == 0
        look = Look(simulator, tmp_path, STATE_KEY="b" * 16)
        assert await look.show() == 0
        assert "The state store has trouble: 1 stored states do not open" in look.out.getvalue()


async def test_a_shared_store_is_read_and_written(tmp_path: Path) -> None:
    """What a test on one machine has refreshed, another sees; while the server is down, both go on alone."""
    async with running_simulator(Accounts(rotate=True)) as simulator, redis_server(tmp_path) as server:
        variables = {"STATE_URL": server.url, "STATE_KEY": "canary-state-key"}
        assert await Look(simulator, tmp_path / "one", **variables).test() == 0
        there = Look(simulator, tmp_path / "two", **variables)
        assert await there.show() == 0
        assert "As they stand in the Redis of STATE_URL;" in there.out.getvalue()
        assert "social-1  social  usable  60 min (" in there.out.getvalue()
        assert "trouble" not in there.out.getvalue()
        await server.stop()
        alone = Look(simulator, tmp_path / "one", **variables)
        assert await alone.test() == 0
        assert "The state store has trouble" in alone.out.getvalue()


async def test_without_a_credential_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    """As for serving: exit code 78, and what to set."""
    done = await run("credentials", "test", home=tmp_path, environment={"HOME": str(tmp_path)})

    assert (done.returncode, done.stdout) == (78, b"")
    assert b"AWS_REFRESHTOKEN" in done.stderr


async def test_an_imported_login_serves(tmp_path: Path) -> None:
    """The line that is printed is all that it takes, in the environment and in ``.env``."""
    async with running_simulator() as simulator:
        write_json(tmp_path / ".aws/sso/cache/kiro-auth-token.json", {**SOCIAL_FILE, "refreshToken": TOKENS[0]})
        imported = await run("import", home=tmp_path, environment={"HOME": str(tmp_path)})
        [line] = [line for line in imported.stdout.decode().splitlines() if "KIRO_AUTH_TOKEN=" in line]
        assert (imported.returncode, imported.stderr) == (0, b"")
        (tmp_path / ".env").write_text(line.strip())
        environment = build_environment(simulator, tmp_path)
        del environment["AWS_REFRESHTOKEN"]
        tested = await run("credentials", "test", home=tmp_path, environment=environment)
        assert (tested.returncode, tested.stdout[:22]) == (0, b"social-1  social  well")
