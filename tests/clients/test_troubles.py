"""Agents live through what goes wrong upstream: a call that is cut short, a conversation that is too long."""

from collections import deque
from pathlib import Path

import pytest

from tests.clients.conftest import require_installed
from tests.clients.programs import (
    CLAUDE_CODE,
    CODEX,
    OPENCODE_CHAT,
    OPENCODE_MESSAGES,
    OPENCODE_RESPONSES,
    Outcome,
    Place,
    Program,
    find_left_behind,
    run_program,
)
from tests.clients.tasks import CLOSING, Task
from tests.support.proxy import Proxy
from tests.support.troubles import TOO_LONG

pytestmark = pytest.mark.slow

NEARLY_FULL = 195_000
"""Tokens, of the 200,000 in the README's settings."""


def _build_task(program: Program, place: Place) -> Task:
    """Writes a note, then runs a command, which leaves a line each time that it runs."""
    note = place.folder / "note.txt"
    return Task(turns=[[program.write(note, "Hello")], [program.run("echo run >> runs.txt; cat note.txt")]])


async def _run(program: Program, proxy: Proxy, place: Place, task: Task) -> tuple[Outcome, list[object]]:
    """How the run ended, and how the proxy's exchanges that were part of it did."""
    proxy.simulator.responder = task
    outcome = await run_program(program, place, proxy.url)
    assert (proxy.simulator.streams_open, find_left_behind(place)) == (0, [])
    return outcome, [fields["outcome"] for fields in proxy.log.find("exchange")]


def _read_runs(folder: Path) -> str:
    path = folder / "runs.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


async def test_call_that_is_cut_short(program: Program, proxy: Proxy, place: Place) -> None:
    """Half a call is not run; the agent asks again, and the whole one runs once."""
    program_task = _build_task(program, place)
    program_task.troubles = {1: deque([program_task.cut(1)])}
    outcome, ends = await _run(program, proxy, place, program_task)
    assert (outcome.exit_code, _read_runs(place.folder)) == (0, "run\n"), outcome.errors
    assert CLOSING in outcome.output
    assert (ends.count("upstream"), set(ends)) == (1, {"upstream", "completed"})


@pytest.mark.parametrize(
    ("program", "exit_code"),
    # opencode sums up and goes on too, and is sorry in the end for what it has shown.
    [(CLAUDE_CODE, 0), (OPENCODE_CHAT, 1), (OPENCODE_MESSAGES, 1), (OPENCODE_RESPONSES, 1)],
    ids=lambda value: value.name if isinstance(value, Program) else "",
)
async def test_conversation_that_is_too_long(program: Program, exit_code: int, proxy: Proxy, place: Place) -> None:
    """The agent understands the refusal, has the conversation summed up, and finishes the task."""
    require_installed(program)
    task = _build_task(program, place)
    task.troubles = {1: deque([TOO_LONG])}
    outcome, ends = await _run(program, proxy, place, task)
    assert (outcome.exit_code, _read_runs(place.folder)) == (exit_code, "run\n"), outcome.errors
    assert CLOSING in outcome.output
    assert (ends.count("context_overflow"), set(ends)) == (1, {"context_overflow", "completed"})


async def test_conversation_that_is_too_long_for_codex(proxy: Proxy, place: Place) -> None:
    """Codex gives up, and says why."""
    program = require_installed(CODEX)
    task = _build_task(program, place)
    task.troubles = {1: deque([TOO_LONG])}
    outcome, ends = await _run(program, proxy, place, task)
    assert (outcome.exit_code, ends) == (1, ["completed", "context_overflow"])
    assert "ran out of room in the model's context window" in outcome.errors


@pytest.mark.parametrize("program", [CODEX, OPENCODE_CHAT], ids=lambda program: program.name)
async def test_conversation_that_is_nearly_too_long(program: Program, proxy: Proxy, place: Place) -> None:
    """With the README's settings the usage in an answer is enough: the agent sums up before anything is refused."""
    require_installed(program)
    task = _build_task(program, place)
    task.tokens = {0: NEARLY_FULL}
    outcome, ends = await _run(program, proxy, place, task)
    assert (outcome.exit_code, set(ends)) == (0, {"completed"}), outcome.errors
    assert CLOSING in outcome.output
    assert len(task.requests) > len(task.turns) + 1
