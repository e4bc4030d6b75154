"""The command line, without a process of its own."""

import os
import socket
from pathlib import Path

import pytest

from kiro2api import __version__, cli
from kiro2api.cli import EXIT_FAILURE, run_command
from kiro2api.config import EXIT_CONFIG, Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test."""
    for name in (*Settings.model_fields, "xdg_state_home", "xdg_config_home", "xdg_data_home"):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def _fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run_command(arguments)
    return code, capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no settings."""
    with pytest.raises(SystemExit) as ended:
        run_command(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"kiro2api {__version__}\n")


def test_every_bad_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One message with each name and remedy, no traceback, exit code 78, nothing bound."""
    bad = {"HOST": "0.0.0.0", "PORT": "abc", "LOG_LEVEL": "loud", "KIRO_UPSTREAM_URL": "http://x.test"}  # noqa: S104  refused, and that is the test
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    code, message = _fail(capsys)
    assert code == EXIT_CONFIG == 78
    for name in ("AWS_REFRESHTOKEN", "KIRO_CLIENT_TOKEN", "PORT", "LOG_LEVEL", "KIRO_UPSTREAM_URL"):
        assert f"  {name}: " in message
    assert "Traceback" not in message


def test_a_shortened_refresh_token_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value that a display has cut can never work; it is not repeated."""
    monkeypatch.setenv("AWS_REFRESHTOKEN", "whole-token,aorAAAA...zzzz")
    code, message = _fail(capsys)
    assert code == EXIT_CONFIG
    assert "AWS_REFRESHTOKEN" in message
    assert "aorAAAA" not in message


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    """The address and the settings that choose it, no traceback, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for name, value in {"PORT": port, "AWS_REFRESHTOKEN": "a", "WORKERS": workers}.items():
            monkeypatch.setenv(name, value)
        code, message = _fail(capsys)
    assert code == EXIT_FAILURE
    assert f"Cannot listen on 127.0.0.1:{port}" in message
    assert "Traceback" not in message
    assert "KIRO2API_WORKER" not in os.environ
    assert "AWS_REFRESHTOKEN" not in os.environ  # nothing that this process starts should find it there


def test_credentials_are_shown_without_serving(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table on standard output, no log line, no secret."""
    monkeypatch.setenv("AWS_REFRESHTOKEN", "made-up-refresh-token")
    assert run_command(["credentials"]) == 0
    said = capsys.readouterr()
    assert "social-1  social  usable" in said.out
    assert (said.err, "made-up" in said.out) == ("", False)


def test_a_test_of_credentials_without_a_store_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why there is none, and what to do; exit code 78."""
    monkeypatch.setenv("AWS_REFRESHTOKEN", "made-up-refresh-token")
    monkeypatch.delenv("HOME")
    code, message = _fail(capsys, "credentials", "test")
    assert code == EXIT_CONFIG
    assert "state_not_kept" in message
    assert "nothing was tested" in " ".join(message.split())


def test_a_look_that_is_interrupted_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As shells have it."""
    monkeypatch.setenv("AWS_REFRESHTOKEN", "made-up-refresh-token")

    async def interrupt(*_arguments: object, **_more: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "show_credentials", interrupt)
    assert _fail(capsys, "credentials") == (130, "")


def test_an_import_needs_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Not even a credential: it is how one comes to have one."""
    code, message = _fail(capsys, "import")
    assert (code, message.startswith("there is no login")) == (EXIT_CONFIG, True)
