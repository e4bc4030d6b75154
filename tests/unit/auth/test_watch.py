"""Credentials that follow their files."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.credentials import Credential
from kiro2api.auth.sources import Loaded, SourceSpec, SourceText, load_credentials, write_back
from kiro2api.auth.watch import GRACE_SECONDS, POLL_SECONDS, CredentialWatcher
from tests.unit.auth.sources.samples import ALL_ROWS, ROTATED, SECRET, SOCIAL_FILE, write_json, write_store

LONG = "aor" + "x" * 100


@dataclass
class Desk:
    """A watcher over real files, and what came of it."""

    spec: SourceSpec
    applied: list[list[str]] = field(default_factory=list)
    """The labels of each new set."""
    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    loads: int = 0
    on_load: Callable[[], object] = lambda: None
    """Called in the thread, between reading and handing over."""
    on_apply: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.loaded = load_credentials(self.spec)
        self.watcher = CredentialWatcher(self.loaded, load=self._load, apply=self._apply, log=self._log)

    def _load(self) -> Loaded:
        self.loads += 1
        loaded = load_credentials(self.spec)
        self.on_load()
        return loaded

    def _apply(self, credentials: tuple[Credential, ...]) -> None:
        self.on_apply()
        self.applied.append([credential.label for credential in credentials])

    def _log(self, _level: int, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))

    def list_events(self) -> list[str]:
        return [event for event, _ in self.lines]


def _write(path: Path, *labels: str, indent: int | None = 2) -> None:
    write_json(path, [{"refreshToken": LONG + label, "label": label} for label in labels], indent=indent)


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    path.unlink()


def _loosen(path: Path) -> None:
    path.chmod(0o644)
    os.utime(path, (0, 0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of entries with one credential."""
    _write(tmp_path / "entries.json", "a")
    return tmp_path / "entries.json"


@pytest.fixture
def desk(path: Path) -> Desk:
    """A watcher of that file."""
    return Desk(SourceSpec(home=path.parent, auth_token=SourceText(variable="KIRO_AUTH_TOKEN", text=str(path))))


async def test_a_change_is_applied(desk: Desk, path: Path) -> None:
    """All credentials that there are now, once; what did not change is not read again."""
    await desk.watcher._look()
    _write(path, "a", "b")
    await desk.watcher._look()
    await desk.watcher._look()

    assert (desk.applied, desk.loads) == ([["a", "b"]], 2)
    assert desk.lines == [("credentials_reloaded", {"count": 2, "labels": ["a", "b"]})]


async def test_a_change_before_the_first_look_is_not_missed(desk: Desk, path: Path) -> None:
    """The first look reads everything, whatever the files' times."""
    _write(path, "b")
    await desk.watcher._look()

    assert desk.applied == [["b"]]


async def test_a_change_without_a_difference_is_no_news(desk: Desk, path: Path) -> None:
    """Somebody has saved the file again."""
    await desk.watcher._look()
    _write(path, "a", indent=None)
    await desk.watcher._look()

    assert (desk.applied, desk.lines, desk.loads) == ([], [], 2)


async def test_a_broken_file_keeps_the_old_set(desk: Desk, path: Path) -> None:
    """The reason is told once for each change; when the file is whole again, that is told too."""
    for text in ("[{HIDDEN", "[{HIDDEN}", "[]"):
        _put(path, text)
        await desk.watcher._look()
        await desk.watcher._look()
    _write(path, "a")
    await desk.watcher._look()

    assert desk.list_events() == [*["credentials_kept"] * 3, "credentials_unchanged"]
    assert desk.lines[2] == ("credentials_kept", {"source": str(path), "reason": "the list holds no entry"})
    assert (desk.applied, SECRET in str(desk.lines)) == ([], False)


async def test_a_repair_elsewhere_is_noticed(tmp_path: Path) -> None:
    """What was wrong need not show in the files that are watched: after trouble, each look tries again."""
    path = write_json(tmp_path / "token.json", SOCIAL_FILE)
    desk = Desk(SourceSpec(home=tmp_path, token_file=path))
    write_json(path, {**SOCIAL_FILE, "authMethod": "IdC", "clientIdHash": "new"})
    await desk.watcher._look()
    write_json(tmp_path / "new.json", {"clientId": "i", "clientSecret": "s"})
    await desk.watcher._look()

    assert (desk.list_events(), desk.applied) == (["credentials_kept", "credentials_reloaded"], [["idc-1"]])


@pytest.mark.parametrize("vanish", [_remove, lambda path: _put(path, "")])
async def test_a_file_that_vanishes_for_a_moment(
    desk: Desk, path: Path, mock_clock: MockClock, vanish: Callable[[Path], object]
) -> None:
    """Somebody is about to replace it: nothing is read meanwhile, and the reason is told once."""
    await desk.watcher._look()
    vanish(path)
    await desk.watcher._look()
    mock_clock.jump(GRACE_SECONDS - 1)
    await desk.watcher._look()
    _write(path, "b")
    await desk.watcher._look()

    assert (desk.loads, desk.applied) == (2, [["b"]])
    assert desk.lines[0] == ("credentials_kept", {"source": str(path), "reason": "has vanished or is empty"})
    assert desk.list_events() == ["credentials_kept", "credentials_reloaded"]


async def test_a_file_that_stays_away_keeps_the_old_set(desk: Desk, path: Path, mock_clock: MockClock) -> None:
    """The configuration names it: its absence is a fault, not an empty list."""
    await desk.watcher._look()
    _remove(path)
    await desk.watcher._look()
    mock_clock.jump(GRACE_SECONDS)
    await desk.watcher._look()
    await desk.watcher._look()

    assert (desk.loads, desk.applied) == (3, [])
    assert desk.list_events() == ["credentials_kept", "credentials_kept"]


async def test_a_link_that_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted secret: another file under the same name."""
    for name in ("1", "2"):
        _write(tmp_path / name / "entries.json", name)
    (tmp_path / "data").symlink_to("1")
    text = SourceText(variable="KIRO_AUTH_TOKEN_FILE", path=tmp_path / "data/entries.json")
    desk = Desk(SourceSpec(home=tmp_path, auth_token=text))
    await desk.watcher._look()
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "data")
    await desk.watcher._look()

    assert desk.applied == [["2"]]


async def test_the_log_of_a_store_may_come_and_go(tmp_path: Path) -> None:
    """SQLite makes and deletes it as it likes; that is not waited for."""
    store = write_store(tmp_path / "data.sqlite3", ALL_ROWS)
    desk = Desk(SourceSpec(home=tmp_path, cli_store=store))
    log = tmp_path / "data.sqlite3-wal"
    log.write_bytes(b"x")
    await desk.watcher._look()
    log.unlink()
    await desk.watcher._look()

    assert (desk.loads, desk.lines) == (2, [])


def _rotate(credential: Credential) -> Credential:
    return write_back(
        credential, refresh_token=ROTATED, access_token="later", expires_at=2_000_000_000, profile_arn=None
    )


async def test_what_was_written_back_is_no_news(tmp_path: Path) -> None:
    """The file is read, and nobody hears of it."""
    desk = Desk(SourceSpec(home=tmp_path, token_file=write_json(tmp_path / "token.json", SOCIAL_FILE)))
    await desk.watcher._look()
    desk.watcher.expect(_rotate(desk.loaded.credentials[0]))
    await desk.watcher._look()

    assert (desk.loads, desk.applied, desk.lines) == (2, [], [])


async def test_what_is_written_back_while_it_is_read_is_no_news(tmp_path: Path) -> None:
    """What was read is older then, and is not to replace what is in use."""
    desk = Desk(SourceSpec(home=tmp_path, token_file=write_json(tmp_path / "token.json", SOCIAL_FILE)))

    def interfere() -> None:
        desk.on_load = lambda: None
        written = _rotate(desk.loaded.credentials[0])
        trio.from_thread.run_sync(desk.watcher.expect, written)

    desk.on_load = interfere
    await desk.watcher._look()
    await desk.watcher._look()

    assert (desk.loads, desk.applied, desk.lines) == (2, [], [])


async def test_new_notes_are_logged(desk: Desk, path: Path) -> None:
    """Those that were known at the start are not said again."""
    await desk.watcher._look()
    _loosen(path)
    await desk.watcher._look()
    os.utime(path, (1, 1))
    await desk.watcher._look()

    assert desk.list_events() == ["credentials_note"]


async def test_without_files_there_is_nothing_to_read(tmp_path: Path) -> None:
    """Variables do not change."""
    desk = Desk(SourceSpec(home=tmp_path, refresh_tokens=SourceText(variable="AWS_REFRESHTOKEN", text=LONG)))
    await desk.watcher._look()

    assert desk.loads == 0


async def test_it_looks_again_and_again(desk: Desk, path: Path, autojump_clock: MockClock) -> None:
    """Until it is cancelled; and a failure in putting credentials to use is made up for by the next run."""
    has_applied = trio.Event()

    def fail() -> None:
        desk.on_apply = has_applied.set
        raise KeyError

    desk.on_apply = fail
    desk.on_load = lambda: _write(path, "b")
    with pytest.raises(KeyError):
        await desk.watcher.run()
    assert autojump_clock.current_time() >= POLL_SECONDS

    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.watcher.run)
        await has_applied.wait()
        nursery.cancel_scope.cancel("the test has ended")
    assert desk.applied == [["b"]]
