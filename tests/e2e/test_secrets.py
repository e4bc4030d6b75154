"""Nothing secret is ever written, answered or kept in clear: all kinds of credentials, on good days and on bad ones."""

import base64
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import trio

from kiro2api.simulator.account import Throttle
from kiro2api.simulator.addresses import USAGE_LIMITS_PATH
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import ErrorFrame, Event, ExceptionFrame, Hang, Respond, Script
from kiro2api.simulator.server import Simulator
from tests.e2e.test_process import BASE_ENVIRONMENT, running_program
from tests.support.greetings import greet
from tests.support.leaks import find_leaks, find_leaks_in_folder, make_secret
from tests.support.secret_settings import (
    JSON_TYPE,
    PLANTED,
    PROMPT,
    SECRETS,
    build_environment,
    build_simulator,
    list_secrets,
)


@dataclass
class Scene:
    """A running program, whose every answer is kept."""

    simulator: Simulator
    client: httpx.AsyncClient
    answers: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    async def keep(self, response: httpx.Response) -> None:
        """To be called with each answer."""
        await response.aread()
        self.statuses.add(response.status_code)
        self.answers.append(f"{response.headers.raw!r}\n{response.text}")

    async def say(self, number: int, *, is_stream: bool = False, **fields: object) -> None:
        """A message that holds the prompt, in both dialects."""
        messages = [{"role": "user", "content": f"{PROMPT}, for the {number}th time"}]
        body = greet(number, stream=is_stream) | {"messages": messages} | fields
        for path in ("/v1/messages", "/v1/chat/completions"):
            await self.client.post(path, json=body)


@asynccontextmanager
async def open_scene(simulator: Simulator, url: str) -> AsyncIterator[Scene]:
    """A client of the program with the right key."""
    headers = {"x-api-key": SECRETS["client key"]}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        scene = Scene(simulator, client)
        client.event_hooks["response"] = [scene.keep]
        yield scene


def repeat(record: Record) -> str:
    """What a careless service says in its errors."""
    return f"{record.headers} {record.raw.decode()}"


FAULTS: tuple[Callable[[Record], Script], ...] = (
    lambda record: [Respond(400, JSON_TYPE, json.dumps({"message": repeat(record)}).encode())],
    lambda record: [Respond(500, {"content-type": "text/html"}, repeat(record).encode())],
    lambda record: [Respond(302, {"location": f"https://elsewhere.invalid/?{record.headers['authorization']}"})],
    lambda record: [Respond(200, JSON_TYPE, repeat(record).encode())],
    lambda record: [ErrorFrame("InternalServerException", repeat(record)[:20_000])],
    lambda record: [ExceptionFrame("ValidationException", {"message": repeat(record)})],
    lambda record: [
        Event("assistantResponseEvent", {"content": "Hello"}),
        ExceptionFrame("InternalServerException", {"message": repeat(record)}),
    ],
)


async def have_good_days(scene: Scene) -> None:
    """All credentials are used, the control plane is asked, and probes and lists are looked at."""
    for number in range(6):
        await scene.say(number, is_stream=number % 2 == 1)
    await scene.say(6, model=PLANTED)
    for path in ("/healthz", "/readyz", "/v1/models"):
        await scene.client.get(path)
    await scene.client.get("/admin/credentials", headers={"x-api-key": SECRETS["admin key"]})
    await scene.simulator.wait_requests(5, path=USAGE_LIMITS_PATH)


async def have_bad_days(scene: Scene) -> None:
    """Access tokens end, the upstream fails in its own words, clients leave, and an account is throttled."""
    simulator = scene.simulator
    simulator.accounts.expire_access_tokens()
    await scene.say(10)
    faults = iter(FAULTS)

    def fail(record: Record) -> Script | None:
        fault = next(faults, None)
        return None if fault is None else fault(record)

    simulator.responder = fail
    for number in range(len(FAULTS)):
        await scene.say(20 + number, is_stream=number % 2 == 1)
    assert next(faults, None) is None
    simulator.responder = lambda _record: [Hang()]
    with trio.move_on_after(0.2):
        await scene.say(40)
    simulator.responder = None
    for account in simulator.accounts:
        account.throttle = Throttle(until=trio.current_time() + 60)
    await scene.say(50)


async def be_misused(scene: Scene) -> None:
    """By people with wrong keys, keys in wrong places, and bodies that are none."""
    client, tried = scene.client, SECRETS["key that somebody tried"]
    for key in (tried, SECRETS["client key"][:-1], SECRETS["admin key"]):
        await client.post("/v1/messages", json=greet(0), headers={"x-api-key": key})
        if key != SECRETS["admin key"]:
            await client.get("/admin/credentials", headers={"x-api-key": "", "authorization": f"Bearer {key}"})
    await client.get(f"/v1/messages/{SECRETS['client key']}", params={"key": SECRETS["client key"]})
    await client.get("/v1/models", params={"api_key": tried}, headers={"x-api-key": ""})
    for content in (PROMPT, f'{{"messages": "{PROMPT}"}}', json.dumps(greet(0) | {"max_tokens": PROMPT})):
        for path in ("/v1/messages", "/v1/chat/completions"):
            await client.post(path, content=content.encode())


async def run_commands(environment: dict[str, str], folder: Path) -> str:
    """All that the commands print about these credentials."""
    token_file = folder / "kiro-auth-token.json"
    secrets = {"refreshToken": SECRETS["refresh token of an entry"], "accessToken": SECRETS["access token in a file"]}
    token_file.write_text(json.dumps(secrets | {"expiresAt": "2030-01-01T00:00:00Z", "authMethod": "social"}))
    token_file.chmod(0o600)
    copy = ["import", str(token_file), "--to", str(folder / "copy.json")]
    printed: list[bytes] = []

    async def run(*arguments: str) -> None:
        done = await trio.run_process(
            [sys.executable, "-m", "kiro2api", *arguments],
            cwd=folder,
            env=BASE_ENVIRONMENT | environment,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert done.stdout
        printed.append(done.stdout + done.stderr)

    async with trio.open_nursery() as nursery:
        for arguments in (["credentials"], ["credentials", "--json"], ["credentials", "test"], copy):
            nursery.start_soon(run, *arguments)
    return b"\n".join(printed).decode()


EVENTS = ("exchange", "refused", "credential_refreshed", "credential_revoked", "credential_refresh_failed")
"""Without these lines, the log that is searched would not be the one that is meant."""


@pytest.mark.parametrize(
    ("log_format", "has_commands"),
    [pytest.param("json", False, id="json"), pytest.param("text", True, id="text", marks=pytest.mark.slow)],
)
async def test_nothing_secret_is_written_answered_or_kept(
    log_format: str, tmp_path: Path, *, has_commands: bool
) -> None:
    """In no log, answer, output of a command or file of the state, whole or in part, whatever happens."""
    simulator, commands = build_simulator(), PLANTED
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        environment = build_environment(simulator, tmp_path, log_format)
        async with (
            running_program(cwd=tmp_path, environment=environment) as program,
            open_scene(simulator, program.url) as scene,
        ):
            await have_good_days(scene)
            await be_misused(scene)
            await have_bad_days(scene)
            if has_commands:
                commands = await run_commands(environment | {"PORT": program.url.rpartition(":")[2]}, tmp_path)
        nursery.cancel_scope.cancel("the program has ended")
    log = (tmp_path / "log.txt").read_text()
    assert [event for event in EVENTS if event not in log] == []
    assert scene.statuses >= {200, 400, 401, 404, 429, 502}
    answered = "\n".join(scene.answers)
    written = {"the log": log, "the output": program.output, "the commands' output": commands}
    secrets = list_secrets(simulator)
    found = [*find_leaks("an answer", answered, secrets), *find_leaks_in_folder(tmp_path / "state", secrets)]
    for place, text in written.items():
        found += find_leaks(place, text, secrets | {"prompt": PROMPT})
    assert found == []
    assert all(list(find_leaks("", text, {"planted": PLANTED})) for text in (answered, *written.values()))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda secret: f"before {secret} after", id="whole"),
        pytest.param(lambda secret: secret[:20], id="beginning"),
        pytest.param(lambda secret: f"...{secret[-20:]}", id="end"),
        pytest.param(lambda secret: f"?{urlencode({'key': secret})}", id="in a URL"),
        pytest.param(lambda secret: secret.encode().hex(), id="hexadecimal"),
        pytest.param(lambda secret: base64.b64encode(f"me:{secret}".encode()).decode(), id="base64"),
        pytest.param(lambda secret: base64.urlsafe_b64encode(f"{{{secret}}}".encode()).decode(), id="base64 for URLs"),
    ],
)
def test_a_secret_would_be_found(write: Callable[[str], str], tmp_path: Path) -> None:
    """However it is written, in a text, in a file and in a file's name."""
    secrets = {"client key": SECRETS["client key"] + "/+=", "another": make_secret("another")}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"\xff" + write(secrets["client key"]).encode())

    assert list(find_leaks("a text", write(secrets["client key"]), secrets))
    assert list(find_leaks_in_folder(tmp_path, secrets))
    assert not list(find_leaks("a text", write(secrets["client key"]), {"another": secrets["another"]}))
