"""The agents, one after the other, each before a proxy of its own and a model that plays a task."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.clients.programs import INSTALLED, PROGRAMS, Place, Program, kill_left_behind
from tests.support.proxy import Proxy, running_proxy


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Program:
    """Each of the agents, if it is installed."""
    chosen: Program = request.param
    return require_installed(chosen)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where it runs; nothing of it runs on."""
    chosen = Place(home=tmp_path / "home", folder=tmp_path / "work")
    chosen.home.mkdir()
    chosen.folder.mkdir()
    yield chosen
    kill_left_behind(chosen)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A running proxy with one credential, in front of a simulated Kiro."""
    async with running_proxy() as running:
        yield running


@pytest.fixture
def picture(place: Place) -> Path:
    """A small picture where the agent works."""
    path = place.folder / "picture.png"
    Image.new("RGB", (64, 48), "teal").save(path)
    return path


def require_installed(program: Program) -> Program:
    """The program, or the test is skipped."""
    if not INSTALLED.exists():
        pytest.skip(f"{program.name} is not installed: make clients does it, with npm")
    return program
