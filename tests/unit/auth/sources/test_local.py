"""What is on this machine."""

from pathlib import Path

import pytest

from kiro2api.auth.sources import describe_local_credentials, find_data_home, find_local_credentials

IDE = ".aws/sso/cache/kiro-auth-token.json"
PLACES = (
    IDE,
    ".local/share/kiro-cli/data.sqlite3",
    "Library/Application Support/kiro-cli/data.sqlite3",
    ".local/share/amazon-q/data.sqlite3",
    "Library/Application Support/amazon-q/data.sqlite3",
)


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_every_place_is_known(tmp_path: Path) -> None:
    """Those of Linux and of macOS."""
    paths = tuple(_touch(tmp_path / place) for place in PLACES)

    assert find_local_credentials(tmp_path, {}) == paths


def test_nothing_is_found_in_an_empty_home(tmp_path: Path) -> None:
    """And nothing is said."""
    assert (find_local_credentials(tmp_path, {}), describe_local_credentials(tmp_path)) == ((), "")


def test_the_data_home_is_where_the_environment_says(tmp_path: Path) -> None:
    """It replaces the folder of Linux."""
    path = _touch(tmp_path / "data/kiro-cli/data.sqlite3")

    assert find_local_credentials(tmp_path, {"XDG_DATA_HOME": str(tmp_path / "data")}) == (path,)


@pytest.mark.parametrize(("value", "expected"), [("", None), ("data", None), ("/data", Path("/data"))])
def test_a_relative_data_home_does_not_count(value: str, expected: Path | None) -> None:
    """As the specification of these folders has it."""
    assert find_data_home({"XDG_DATA_HOME": value}) == expected


def test_what_is_found_is_told_with_what_to_do(tmp_path: Path) -> None:
    """For whoever has configured nothing."""
    ide, store = _touch(tmp_path / IDE), _touch(tmp_path / "data/amazon-q/data.sqlite3")

    assert describe_local_credentials(tmp_path, data_home=tmp_path / "data") == (
        f"found a login of the Kiro IDE at {ide} and a login of the Amazon Q CLI at {store}; "
        "set KIRO_AUTH_TOKEN=auto to use it"
    )
