"""Tests of kiro2api.config.state."""

from pathlib import Path

import pytest

from kiro2api.config import StatePlace, locate_state
from tests.support.settings import load

EVERYTHING = {"XDG_STATE_HOME": "/state", "HOME": "/home/me"}


@pytest.mark.parametrize(
    ("url", "environ", "place"),
    [
        ("memory:", EVERYTHING, StatePlace(kind="memory", reason="STATE_URL is memory:")),
        ("redis://store", EVERYTHING, StatePlace(kind="redis", reason="STATE_URL is set")),
        ("RedisS://store", {}, StatePlace(kind="redis", reason="STATE_URL is set")),
        ("file:/a/b", EVERYTHING, StatePlace(kind="file", directory=Path("/a/b"), reason="STATE_URL is set")),
        ("file:///a%20b", {}, StatePlace(kind="file", directory=Path("/a b"), reason="STATE_URL is set")),
        (
            "",
            EVERYTHING,
            StatePlace(
                kind="file", directory=Path("/state/kiro2api"), reason="STATE_URL is not set, and XDG_STATE_HOME is"
            ),
        ),
        (
            "",
            {"XDG_STATE_HOME": "state", "HOME": " /home/me "},
            StatePlace(
                kind="file",
                directory=Path("/home/me/.local/state/kiro2api"),
                reason="STATE_URL is not set, and HOME is",
            ),
        ),
    ],
)
def test_place(url: str, environ: dict[str, str], place: StatePlace) -> None:
    """The address counts first, then the folder for states, then the home; whether any is there is not looked at."""
    assert locate_state(load({"STATE_URL": url, "STATE_KEY": "sixteen-letters-"}), environ) == place


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "home/me", "XDG_STATE_HOME": " "}])
def test_nowhere(environ: dict[str, str]) -> None:
    """Without an address and a home, memory is left, and the reason can be told."""
    assert locate_state(load({}), environ) == StatePlace(
        kind="memory", reason="neither STATE_URL nor XDG_STATE_HOME nor HOME is set to an absolute place"
    )
