"""The makers' JavaScript clients and Vercel's AI SDK get from the proxy what they get from its models' makers.

The cases are in ``js/*.test.js``, written for Node's own test runner. Those of one file run in one process, against
one proxy; each is a test here.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest
import trio

from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Event, Hang, Script
from tests.support.npm import KEEP_LINKS, find_node, install_packages
from tests.support.proxy import CLIENT_KEY, running_proxy
from tests.support.troubles import BROKEN, TOO_LONG

FOLDER = Path(__file__).parent / "js"
FILES = sorted(path.name for path in FOLDER.glob("*.test.js"))
PROVIDERS = ("anthropic", "responses", "chat", "compatible")
PATIENCE_SECONDS = 50
"""For one file on a busy machine; each takes a few seconds."""
CLOSING_SECONDS = 5
"""From the end of a client to that of the upstream's answer for it."""
TROUBLES: dict[bytes, Script] = {
    b"fail for length": TOO_LONG,
    b"fail halfway": BROKEN,
    b"fall silent": [Event("assistantResponseEvent", {"content": "The answer"}), Hang()],
}
"""What the simulated Kiro does when a request has these words."""
LEFT_EARLY = "a stream that is left early"

_CASE = re.compile(r'^ *test\(["`](?:(\$\{provider\}): )?(.+)["`], async', re.MULTILINE)


class Outcome(msgspec.Struct):
    """How a case ended, as the reporter tells it."""

    name: str
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of the cases of one file."""

    failures: dict[str, str | None]
    """By the names of the cases."""
    left_early: Sequence[str | None]
    """How the upstream's answers ended whose clients went away."""
    output: str
    """What was printed, for a reader."""


def _read_cases() -> Iterator[tuple[str, str]]:
    """The file and the name of each case."""
    for file in FILES:
        for per_provider, name in _CASE.findall((FOLDER / file).read_text()):
            prefixes = [f"{provider}: " for provider in PROVIDERS] if per_provider else [""]
            yield from ((file, prefix + name) for prefix in prefixes)


CASES = list(_read_cases())


def _choose_trouble(record: Record) -> Script | None:
    return next((script for words, script in TROUBLES.items() if words in record.raw), None)


async def _run_cases(command: list[str], report: Path, png: str) -> Run:
    """Runs a file of cases against a proxy of its own; ``command`` writes its outcomes to ``report``."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = _choose_trouble
        environment = {"PATH": os.environ["PATH"], "PROXY_URL": proxy.url, "PROXY_KEY": CLIENT_KEY, "PNG": png}
        output = f"took longer than {PATIENCE_SECONDS} s"
        with trio.move_on_after(PATIENCE_SECONDS):
            done = await trio.run_process(
                command, capture_stdout=True, stderr=subprocess.STDOUT, check=False, env=environment
            )
            output = done.stdout.decode()
        left = [record for record in proxy.simulator.generations if b"fall silent" in record.raw]
        for record in left:
            with trio.move_on_after(CLOSING_SECONDS):
                await record.finished.wait()
        left_early = [record.outcome for record in left]
    return Run(failures=_read_report(report), left_early=left_early, output=output)


def _read_report(report: Path) -> dict[str, str | None]:
    outcomes = [msgspec.json.decode(line, type=Outcome) for line in report.read_bytes().splitlines()]
    return {outcome.name: outcome.failure for outcome in outcomes}


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory, empty_folder: Path, png: str) -> Callable[[str], Run]:
    """Runs a file of cases, at the first time that it is asked to."""
    node = find_node()
    scripts = install_packages(FOLDER / "package.json")
    reports = tmp_path_factory.mktemp("javascript")

    @cache
    def run(file: str) -> Run:
        report = reports / f"{file}.jsonl"
        report.touch()
        options = (
            *KEEP_LINKS,
            f"--test-reporter={scripts / 'json-lines.js'}",
            f"--test-reporter-destination={report}",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_DIR", str(empty_folder))
            return trio.run(_run_cases, [node, *options, str(scripts / file)], report, png)

    return run


@pytest.mark.parametrize(("file", "case"), CASES)
def test_case(run_file: Callable[[str], Run], file: str, case: str) -> None:
    """The client gets what the case says."""
    run = run_file(file)
    assert case in run.failures, run.output
    assert run.failures[case] is None, run.failures[case]


@pytest.mark.parametrize("file", FILES)
def test_cases_are_known(run_file: Callable[[str], Run], file: str) -> None:
    """Each case of the file is a test here."""
    assert set(run_file(file).failures) == {name for known, name in CASES if known == file}


@pytest.mark.parametrize("file", sorted({file for file, name in CASES if LEFT_EARLY in name}))
def test_streams_that_are_left_early(run_file: Callable[[str], Run], file: str) -> None:
    """The upstream's answer is given up as soon as the client has gone."""
    count = len([name for known, name in CASES if known == file and LEFT_EARLY in name])
    assert run_file(file).left_early == ["cut_by_peer"] * count
