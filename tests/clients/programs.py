"""Agents that people run, as npm has them: how each is set up, called, and what its tools are.

Each runs in a home and a folder of its own, asks nobody for permission, and reaches nothing but the proxy. Two get the
very settings that the README shows.
"""

import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from kiro2api.simulator.calls import Call
from tests.support.proxy import CLIENT_KEY
from tests.support.readme import READMES, ROOT, read_blocks

INSTALLED = ROOT / ".node" / "clients" / ".installed"
"""There when ``make clients`` has installed them beside it."""
PROMPT = "Do the task."
PATIENCE_SECONDS = 120
"""For one run on a busy machine; the longest takes a quarter of it."""

_NOWHERE = "http://127.0.0.1:9"
"""The port of the discard service, where nobody listens."""
_README_URL = "http://127.0.0.1:8080"
_README_KEY = "123456"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a program runs."""

    home: Path
    folder: Path
    """Where it works."""

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}}
        proxies = {"HTTPS_PROXY": _NOWHERE, "HTTP_PROXY": _NOWHERE, "NO_PROXY": "127.0.0.1,localhost"}
        return {**inherited, **proxies, "HOME": str(self.home), "TMPDIR": str(self.home)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What is run, and with which variables beside the place's."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An agent, set up for one of the proxy's dialects."""

    name: str
    command: str
    dialect: str
    set_up: Callable[[Place, str], Invocation]
    """Writes its settings for the proxy at an address."""
    write: Callable[[Path, str], Call]
    """The tool use that writes a text into a file."""
    run: Callable[[str], Call]
    """That runs a command of the shell."""
    look: Callable[[Path], Call]
    """That shows the model a picture, or fails if there is none."""
    tells_errors: bool
    """Whether the dialect lets it say that a tool has failed."""


async def run_program(program: Program, place: Place, url: str) -> Outcome:
    """Lets the program do :data:`PROMPT` against the proxy at ``url``, with nothing on its standard input.

    Raises:
        trio.TooSlowError: It has not ended in time; it and its group were killed.
    """
    call = program.set_up(place, url)
    with trio.fail_after(PATIENCE_SECONDS):
        done = await trio.run_process(
            [INSTALLED.parent / "node_modules" / ".bin" / program.command, *call.arguments],
            env={**place.environment, **call.variables},
            cwd=place.folder,
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            start_new_session=True,
            deliver_cancel=_kill_group,
        )
    return Outcome(exit_code=done.returncode, output=done.stdout.decode(), errors=done.stderr.decode())


def find_left_behind(place: Place) -> list[int]:
    """The ids of processes that were started there and still run, where the system shows that."""
    mark = f"HOME={place.home}".encode()
    return [number for number, environment in _read_environments() if mark in environment.split(b"\0")]


def kill_left_behind(place: Place) -> None:
    """Ends them."""
    for number in find_left_behind(place):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


async def _kill_group(process: trio.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_environments() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes()


def _read_settings(language: str, url: str) -> str:
    """The README's only block in ``language``, with the address and the key of a test."""
    [text] = [block.text for block in read_blocks(READMES[0]) if block.language == language]
    return text.replace(_README_URL, url).replace(_README_KEY, CLIENT_KEY)


def _set_up_claude_code(_place: Place, url: str) -> Invocation:
    return Invocation(
        # Root may not skip the permissions, but anybody may grant some.
        arguments=("--print", PROMPT, "--allowedTools", "Bash Read Write"),
        variables={
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": CLIENT_KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    )


def _set_up_codex(place: Place, url: str) -> Invocation:
    folder = place.home / ".codex"
    folder.mkdir()
    quiet = "check_for_update_on_startup = false\nanalytics.enabled = false\n"
    (folder / "config.toml").write_text(quiet + _read_settings("toml", url), encoding="utf-8")
    return Invocation(
        arguments=("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", PROMPT),
        variables={"KIRO2API_KEY": CLIENT_KEY},
    )


def _set_up_opencode(package: str) -> Callable[[Place, str], Invocation]:
    def set_up(place: Place, url: str) -> Invocation:
        settings = json.loads(_read_settings("json", url))
        settings["provider"]["kiro2api"]["npm"] = package
        settings |= {"autoupdate": False, "share": "disabled", "permission": "allow"}
        (place.folder / "opencode.json").write_text(json.dumps(settings), encoding="utf-8")
        return Invocation(
            arguments=("run", "--model", "kiro2api/claude-sonnet-4-6", PROMPT),
            variables={"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"},
        )

    return set_up


def _build_opencode(name: str, package: str, *, dialect: str, tells_errors: bool = False) -> Program:
    return Program(
        name=name,
        command="opencode",
        dialect=dialect,
        set_up=_set_up_opencode(package),
        write=lambda path, text: Call(name="write", input={"filePath": str(path), "content": text}),
        run=lambda command: Call(name="bash", input={"command": command, "description": "Runs a command"}),
        look=lambda path: Call(name="read", input={"filePath": str(path)}),
        tells_errors=tells_errors,
    )


def _write_by_shell(path: Path, text: str) -> str:
    return f"printf %s {shlex.quote(text)} > {shlex.quote(str(path))}"


CLAUDE_CODE = Program(
    name="claude-code",
    command="claude",
    dialect="anthropic",
    set_up=_set_up_claude_code,
    write=lambda path, text: Call(name="Write", input={"file_path": str(path), "content": text}),
    run=lambda command: Call(name="Bash", input={"command": command, "description": "Runs a command"}),
    look=lambda path: Call(name="Read", input={"file_path": str(path)}),
    tells_errors=True,
)
CODEX = Program(
    name="codex",
    command="codex",
    dialect="responses",
    set_up=_set_up_codex,
    write=lambda path, text: Call(name="exec_command", input={"cmd": _write_by_shell(path, text)}),
    run=lambda command: Call(name="exec_command", input={"cmd": command}),
    look=lambda path: Call(name="view_image", input={"path": str(path)}),
    tells_errors=False,
)
OPENCODE_CHAT = _build_opencode("opencode-chat", "@ai-sdk/openai-compatible", dialect="openai")
OPENCODE_MESSAGES = _build_opencode("opencode-messages", "@ai-sdk/anthropic", dialect="anthropic", tells_errors=True)
OPENCODE_RESPONSES = _build_opencode("opencode-responses", "@ai-sdk/openai", dialect="responses")

PROGRAMS = (CLAUDE_CODE, CODEX, OPENCODE_CHAT, OPENCODE_MESSAGES, OPENCODE_RESPONSES)
