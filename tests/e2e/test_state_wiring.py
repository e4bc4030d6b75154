"""Credentials and their states as the program finds and keeps them, in processes of its own."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import trio

from kiro2api.config import EXIT_CONFIG
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.server import Simulator
from tests.e2e.test_process import BASE_ENVIRONMENT, REFRESH_TOKEN, Program, client_of, point_at, running_program
from tests.support.proxy import HELLO

pytestmark = pytest.mark.slow

TOKENS = ("first-refresh-token-of-a-file", "second-refresh-token-of-a-file")
PATIENCE = 30.0
"""For files that are looked at every two seconds, and workers that are chosen by chance."""
MAX_ASKED = 500
"""Requests until each worker has had one."""

_numbers = count()


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Has the program's files be open to all, if it does not see to them."""
    before = os.umask(0)
    yield
    os.umask(before)


@asynccontextmanager
async def running_simulator(*refresh_tokens: str) -> AsyncIterator[Simulator]:
    """An upstream that rotates refresh tokens, and ends an account that shows one twice."""
    simulator = Simulator(accounts=Accounts(refresh_tokens, rotate=True, detect_reuse=True))
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        yield simulator
        nursery.cancel_scope.cancel("the test is over")


def describe(simulator: Simulator, **environment: str) -> dict[str, str]:
    """The environment of a program that talks to ``simulator`` alone; a file of credentials replaces the usual one."""
    base = point_at(simulator) | {"KIRO_CONTROL_URL": simulator.control_url, "LIMITS_INTERVAL": "0"}
    if "KIRO_AUTH_TOKEN" in environment:
        del base["AWS_REFRESHTOKEN"]
    return base | environment


async def ask(program: Program) -> int:
    """The status of a conversation of its own, over a connection of its own."""
    message = {"role": "user", "content": f"Hello {next(_numbers)}"}
    async with client_of(program) as client:
        return (await client.post("/v1/messages", json=HELLO | {"messages": [message]})).status_code


async def wait_until_ready(program: Program, workers: int) -> None:
    """Waits until all workers listen."""
    while len(re.findall(r" listening .*worker=", program.output)) < workers:
        await program.wait_for_more()


async def ask_every_worker(program: Program, workers: int) -> None:
    """Asks until each worker has answered; the kernel chooses among them."""
    begin = len(program.output)
    for _ in range(MAX_ASKED):
        assert await ask(program) == 200
        if len(set(re.findall(r" exchange .*\bworker=(\d+)", program.output[begin:]))) == workers:
            return
    pytest.fail(f"a worker had none of {MAX_ASKED} requests")


async def refuse(**environment: str) -> tuple[int, str]:
    """The exit code of a program that does not begin to serve, and what it says."""
    command = [sys.executable, "-m", "kiro2api"]
    variables = BASE_ENVIRONMENT | {"AWS_REFRESHTOKEN": REFRESH_TOKEN, "PORT": "0"} | environment
    with trio.move_on_after(PATIENCE):
        ended = await trio.run_process(
            command, env=variables, stdout=subprocess.DEVNULL, capture_stderr=True, check=False
        )
        return ended.returncode, ended.stderr.decode()
    pytest.fail("it serves")


def list_modes(directory: Path) -> set[tuple[str, str]]:
    """The kinds and modes of ``directory`` and all that is in it."""
    modes = [path.stat().st_mode for path in (directory, *directory.rglob("*"))]
    return {("directory" if stat.S_ISDIR(mode) else "file", f"{stat.S_IMODE(mode):o}") for mode in modes}


def read_all(directory: Path) -> bytes:
    """What all files in ``directory`` hold."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


@pytest.mark.usefixtures("open_umask")
async def test_a_restart_goes_on_with_what_was_stored(tmp_path: Path) -> None:
    """With the access token, and then the rotated refresh token, from a folder that nobody else can read."""
    async with running_simulator(REFRESH_TOKEN) as simulator:
        environment = describe(simulator, XDG_STATE_HOME=str(tmp_path / "of" / "states"))
        for is_second in (False, True):
            async with running_program(cwd=tmp_path, environment=environment) as program:
                assert await ask(program) == 200
                assert len(simulator.accounts.grants) == 1
                if is_second:
                    simulator.accounts.expire_access_tokens()
                    assert await ask(program) == 200
            assert "state_not_kept" not in program.output
        first, second = simulator.accounts.grants
        assert (second.shown, dict(simulator.accounts.reuses)) == (first.refresh_token, {})
    assert list_modes(tmp_path / "of") == {("directory", "700"), ("file", "600")}
    stored = read_all(tmp_path)
    secrets = [secret for grant in (first, second) for secret in (grant.refresh_token, grant.access_token)]
    assert [secret for secret in (REFRESH_TOKEN, *secrets) if secret.encode() in stored] == []


async def test_a_kill_leaves_nothing_that_keeps_the_next_start_out(tmp_path: Path) -> None:
    """What was stored is used, and no lock is left."""
    async with running_simulator(REFRESH_TOKEN) as simulator:
        environment = describe(simulator, STATE_URL=f"file:{tmp_path / 'state'}")
        for number in (signal.SIGKILL, signal.SIGTERM):
            async with running_program(cwd=tmp_path, environment=environment) as program:
                assert await ask(program) == 200
                program.process.send_signal(number)
                await program.process.wait()
            simulator.accounts.expire_access_tokens()
        first, second = simulator.accounts.grants
        assert (second.shown, dict(simulator.accounts.reuses)) == (first.refresh_token, {})


async def test_a_directory_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """If it was asked for by name: with what to do about it, and the exit code of settings that cannot be used."""
    directory = tmp_path / "loose"
    directory.mkdir()
    directory.chmod(0o755)
    code, message = await refuse(STATE_URL=f"file:{directory}")
    assert (code, f"chmod 700 {directory}" in message) == (EXIT_CONFIG, True)
    assert "Traceback" not in message


async def test_a_redis_without_a_key_is_refused() -> None:
    """Refresh tokens must not lie open there; the address, which may hold a password, is not repeated."""
    code, message = await refuse(STATE_URL="redis://:canary-password@127.0.0.1:1")
    assert (code, "  STATE_KEY: " in message) == (EXIT_CONFIG, True)
    assert "canary-password" not in message


async def test_without_a_usable_home_states_are_in_memory(tmp_path: Path) -> None:
    """Whoever has not asked for a place is served all the same, and told what that means."""
    async with running_simulator(REFRESH_TOKEN) as simulator:
        environment = describe(simulator, HOME="/dev/null")
        async with running_program(cwd=tmp_path, environment=environment) as program:
            assert await ask(program) == 200
        assert program.output.count("state_not_kept") == 1
        assert "Set STATE_URL" in program.output
        assert read_all(tmp_path) == b""


async def test_workers_without_a_common_store_are_warned_of(tmp_path: Path) -> None:
    """Memory that was asked for by name is nothing to complain about, but workers do not share it."""
    async with running_simulator(REFRESH_TOKEN) as simulator:
        environment = describe(simulator, STATE_URL="memory:", WORKERS="2")
        async with running_program(cwd=tmp_path, environment=environment) as program:
            await program.wait_for("workers_share_nothing")
        assert "state_not_kept" not in program.output


async def test_workers_refresh_once_for_all(tmp_path: Path) -> None:
    """At the start and at each expiry, whoever of four is asked first; nobody shows a refresh token twice."""
    async with running_simulator(REFRESH_TOKEN) as simulator:
        environment = describe(simulator, STATE_URL=f"file:{tmp_path / 'state'}", WORKERS="4")
        async with running_program(cwd=tmp_path, environment=environment) as program:
            await wait_until_ready(program, 4)
            for expiries in range(3):
                await ask_every_worker(program, 4)
                assert len(simulator.accounts.grants) == expiries + 1
                simulator.accounts.expire_access_tokens()
        assert (program.process.returncode, dict(simulator.accounts.reuses)) == (0, {})
        assert "workers_share_nothing" not in program.output


def write_credentials(path: Path, *refresh_tokens: str, is_whole: bool = True) -> None:
    """Puts a file of the original's form in the place of ``path``, or the most of one."""
    text = json.dumps([{"auth": "Social", "refreshToken": token} for token in refresh_tokens])
    draft = path.with_suffix(".draft")
    draft.write_text(text if is_whole else text[:-2])
    draft.chmod(0o600)
    draft.replace(path)


async def find_asked(program: Program, simulator: Simulator) -> set[str | None]:
    """The credentials that four new conversations come to."""
    before = len(simulator.generations)
    assert {await ask(program) for _ in range(4)} == {200}
    return {record.credential for record in simulator.generations[before:]}


async def test_a_broken_file_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    """The log says where and why the old credentials are kept, and repeats nothing of the file."""
    path = tmp_path / "credentials.json"
    write_credentials(path, TOKENS[0])
    async with running_simulator(*TOKENS) as simulator:
        environment = describe(simulator, KIRO_AUTH_TOKEN=str(path), STATE_URL="memory:")
        async with running_program(cwd=tmp_path, environment=environment) as program:
            assert await find_asked(program, simulator) == {TOKENS[0]}
            write_credentials(path, TOKENS[1], is_whole=False)
            await program.wait_for("credentials_kept")
            assert re.search(rf"WARNING credentials_kept +source=\S*{path.name}\S* reason=", program.output)
            assert await find_asked(program, simulator) == {TOKENS[0]}
            write_credentials(path, TOKENS[1])
            await program.wait_for("credentials_reloaded")
            assert await find_asked(program, simulator) == {TOKENS[1]}
        assert not [token for token in TOKENS if token in program.output]


async def test_credentials_come_and_go_with_their_file(tmp_path: Path) -> None:
    """One that is added is used, one that is taken out is not, and the one that stays is not refreshed for that."""
    path = tmp_path / "credentials.json"
    write_credentials(path, TOKENS[0])
    async with running_simulator(*TOKENS, "third-refresh-token-of-a-file") as simulator:
        environment = describe(simulator, KIRO_AUTH_TOKEN=str(path), STATE_URL="memory:")
        async with running_program(cwd=tmp_path, environment=environment) as program:
            assert await find_asked(program, simulator) == {TOKENS[0]}
            write_credentials(path, *TOKENS)
            await program.wait_for(" count=2 labels=")
            assert await find_asked(program, simulator) == set(TOKENS)
            write_credentials(path, TOKENS[1])
            await program.wait_for(" count=1 labels=")
            assert await find_asked(program, simulator) == {TOKENS[1]}
        assert [grant.shown for grant in simulator.accounts.grants] == list(TOKENS)
