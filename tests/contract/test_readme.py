"""What the READMEs tell a reader to run does what they say, against a proxy like that of ``make demo``."""

import os
import shutil
import subprocess
import sys

import pytest
import trio

from tests.support.proxy import running_proxy
from tests.support.readme import READMES, Block, Example, read_blocks, read_examples

BASE_URL = "http://127.0.0.1:8080"
PATIENCE_SECONDS = 60
"""For one command on a busy machine; they take a fraction of a second."""

EXAMPLES = [example for name in READMES for example in read_examples(name)]
# A unit test sees to it that the other README has the same ones.
SCRIPTS = [block for block in read_blocks(READMES[0]) if block.language == "python"]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are commands of curl")


async def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
    """Runs ``command`` without any outgoing proxy that the machine may have."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment = {**inherited, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with trio.fail_after(PATIENCE_SECONDS):
        return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=environment)


@needs_curl
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
async def test_an_example_runs_as_printed(example: Example) -> None:
    """The command ends well, the answer's status is a success, and the answer has what is shown of it."""
    async with running_proxy(kiro_client_token="123456") as proxy:
        command = example.command.replace(BASE_URL, proxy.url).replace("curl ", "curl --fail-with-body ")
        done = await _run("bash", "-c", command)
    answer = done.stdout.decode()
    assert (done.returncode, example.find_missing(answer)) == (0, None), answer


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.text.split()[1])
async def test_the_set_up_of_an_sdk_runs_as_printed(script: Block) -> None:
    """The lines for the SDKs print the simulated Kiro's answer."""
    async with running_proxy(kiro_client_token="123456") as proxy:
        done = await _run(sys.executable, "-c", script.text.replace(BASE_URL, proxy.url))
    expected = "You said: Hello | turns: 1 | tools: none | images: none\n"
    assert (done.returncode, done.stdout.decode()) == (0, expected), done.stderr.decode()
