"""Agents do whole tasks through the proxy: their tools run, results arrive, and the model's last words are shown."""

from pathlib import Path

import pytest

from kiro2api.simulator.calls import Call
from tests.clients.conftest import require_installed
from tests.clients.programs import CLAUDE_CODE, Place, Program, find_left_behind, run_program
from tests.clients.tasks import CLOSING, Task, read_results
from tests.support.proxy import Proxy

pytestmark = pytest.mark.slow

TEXT = 'one "quoted" line\n第二行 \\ tab\there \N{UMBRELLA} \N{GRINNING FACE}\nit\'s $HOME\n'
"""What JSON, fragments or a shell could damage."""


async def test_tools_one_after_the_other(program: Program, proxy: Proxy, place: Place, picture: Path) -> None:
    """A file is written, a command run, a picture looked at; each once, and the model gets what came of it."""
    note, runs = place.folder / "note.txt", place.folder / "runs.txt"
    task = Task(
        turns=[
            [program.write(note, TEXT)],
            [program.run("cat note.txt; echo run >> runs.txt")],
            [program.look(picture)],
        ]
    )
    proxy.simulator.responder = task
    outcome = await run_program(program, place, proxy.url)
    assert outcome.exit_code == 0, outcome.errors
    assert CLOSING in outcome.output
    assert (note.read_text(encoding="utf-8"), runs.read_text(encoding="utf-8")) == (TEXT, "run\n")
    results = read_results(task.requests[-1])
    assert [(result.tool_use_id, result.status) for result in results] == [
        (f"tooluse_turn{number}_0", "success") for number in range(3)
    ]
    assert TEXT.strip() in results[1].text()
    assert sum(len(message.images or ()) for message in task.requests[-1].user_messages) == 1
    assert len(task.requests) == 4
    _check_peace(program, proxy, place)


async def test_tools_of_one_turn(program: Program, proxy: Proxy, place: Place) -> None:
    """Two commands of one answer both run, and both results come back at once, in their order."""
    note = place.folder / "note.txt"
    task = Task(
        turns=[
            [program.write(note, TEXT)],
            [program.run("echo first; echo run >> first.txt"), program.run("echo second; echo run >> second.txt")],
        ]
    )
    proxy.simulator.responder = task
    outcome = await run_program(program, place, proxy.url)
    assert outcome.exit_code == 0, outcome.errors
    assert [(place.folder / name).read_text() for name in ("first.txt", "second.txt")] == ["run\n", "run\n"]
    results = task.requests[-1].current.tool_results
    assert [(result.tool_use_id, result.status) for result in results] == [
        ("tooluse_turn1_0", "success"),
        ("tooluse_turn1_1", "success"),
    ]
    assert ["first" in results[0].text(), "second" in results[1].text()] == [True, True]
    assert len(task.requests) == 3
    _check_peace(program, proxy, place)


async def test_tool_that_fails(program: Program, proxy: Proxy, place: Place) -> None:
    """The model is told, as a failure where the dialect has a word for it, and the task goes on."""
    task = Task(turns=[[program.look(place.folder / "no-such-picture.png")], [program.run("echo still here")]])
    proxy.simulator.responder = task
    outcome = await run_program(program, place, proxy.url)
    assert outcome.exit_code == 0, outcome.errors
    failed, fine = read_results(task.requests[-1])
    assert failed.text().strip()
    assert [failed.status, fine.status] == ["error" if program.tells_errors else "success", "success"]
    _check_peace(program, proxy, place)


async def test_tool_that_is_loaded_when_it_is_needed(proxy: Proxy, place: Place) -> None:
    """Claude Code keeps most tools back: the model asks for one by name, and from then on it is there to be used."""
    program = require_installed(CLAUDE_CODE)
    task = Task(
        turns=[
            [Call(name="ToolSearch", input={"query": "select:CronList", "max_results": 5})],
            [Call(name="CronList", input={})],
        ]
    )
    proxy.simulator.responder = task
    outcome = await run_program(program, place, proxy.url)
    assert outcome.exit_code == 0, outcome.errors
    declared = ["CronList" in {tool.name for tool in request.current.tools} for request in task.requests]
    assert declared == [False, True, True]
    assert [result.status for result in read_results(task.requests[-1])] == ["success", "success"]
    _check_peace(program, proxy, place)


def _check_peace(program: Program, proxy: Proxy, place: Place) -> None:
    """Nothing was refused on either side of the proxy, and nothing is left."""
    exchanges = proxy.log.find("exchange")
    assert {(fields["dialect"], fields["outcome"]) for fields in exchanges} == {(program.dialect, "completed")}
    assert proxy.log.find("refused") == []
    assert {(record.status, record.rule, record.outcome) for record in proxy.simulator.generations} == {
        (200, None, "whole")
    }
    assert (proxy.simulator.streams_open, find_left_behind(place)) == (0, [])
