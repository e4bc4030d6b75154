"""Who may use the state directory, and how its locks behave."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiro2api.auth.state.directory import LockFile, StateDirectoryError, prepare_directory, write_all


@pytest.fixture
def no_umask() -> Iterator[None]:
    """New files and directories are as open as their makers ask for."""
    before = os.umask(0)
    yield
    os.umask(before)


def _refuse(directory: Path) -> str:
    with pytest.raises(StateDirectoryError) as caught:
        prepare_directory(directory, public_endings=(".notes.json",))
    return caught.value.message


@pytest.mark.usefixtures("no_umask")
def test_a_new_directory_is_its_owner_s_alone(tmp_path: Path) -> None:
    """With the parents that had to be made; a second start finds nothing wrong with it."""
    directory = tmp_path / "state" / "kiro2api"
    prepare_directory(directory)
    prepare_directory(directory)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory)]
    assert modes == [0o700, 0o700]


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o720, 0o777, 0o1770])
def test_a_directory_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """With the path, the mode, and what to type."""
    directory = tmp_path / "the state"
    directory.mkdir()
    directory.chmod(mode)

    message = _refuse(directory)
    assert f"{directory} has mode {mode:04o}" in message
    assert message.endswith(f"Run: chmod 700 '{directory}'")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_a_secret_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Though nobody else gets into the directory now: it may have been copied here with wider modes."""
    tmp_path.chmod(0o700)
    secret = tmp_path / "a.record"
    secret.touch()
    secret.chmod(mode)

    assert f"chmod 600 {secret}" in _refuse(tmp_path)


def test_files_without_secrets_and_folders_of_others_are_let_be(tmp_path: Path) -> None:
    """What others may read of them does no harm."""
    tmp_path.chmod(0o700)
    for name in ("a.notes.json", "link"):
        (tmp_path / name).touch(0o644)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir(0o755)

    prepare_directory(tmp_path, public_endings=(".notes.json",))


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could open it at any time."""
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert f"belongs to the user with id {owner}" in _refuse(tmp_path)


@pytest.mark.parametrize("mode", [0o500, 0o600, 0o300])
def test_a_directory_that_we_cannot_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Before anything is at stake."""
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    directory.chmod(mode)

    message = _refuse(directory)
    directory.chmod(0o700)
    assert f"mode {mode:04o}" in message
    assert message.endswith(f"chmod 700 {directory}")


def test_a_read_only_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode alone does not tell."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    assert "cannot be written to" in _refuse(tmp_path)


def test_a_file_in_the_directory_s_place_is_refused(tmp_path: Path) -> None:
    """As itself and as a parent."""
    file = tmp_path / "file"
    file.touch()

    assert "is not a directory" in _refuse(file)
    assert "Not a directory" in _refuse(file / "state")


def test_a_directory_made_by_another_process_meanwhile_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers start at once."""
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != directory and exists(path))

    prepare_directory(directory)


def test_a_short_write_is_continued(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system may take less than it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"0123456789")

    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_lock_is_one_s_own_until_it_is_closed(tmp_path: Path) -> None:
    """Closing it twice closes nobody else's."""
    path = tmp_path / "a.lock"
    lock = LockFile.take(path)
    assert lock is not None
    assert LockFile.take(path) is None
    lock.close()
    other = LockFile.take(path)
    lock.close()
    assert other is not None
    assert LockFile.take(path) is None
    other.close()


def test_a_forgotten_lock_is_given_back(tmp_path: Path) -> None:
    """As by a thread that nobody waits for any more."""
    path = tmp_path / "a.lock"
    lock = LockFile.take(path)
    del lock

    again = LockFile.take(path)
    assert again is not None
    again.close()


def test_a_mark_is_left_to_the_next_holder(tmp_path: Path) -> None:
    """Until it is erased; a shorter one replaces a longer one whole."""
    marks = []
    for mark in (b"123456", b"12"):
        lock = LockFile.take(tmp_path / "a.lock")
        assert lock is not None
        marks.append(lock.read_mark())
        lock.write_mark(mark)
        marks.append(lock.read_mark())
        if mark == b"12":
            lock.erase_mark()
            marks.append(lock.read_mark())
        lock.close()

    assert marks == [b"", b"123456", b"123456", b"12", b""]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_lock_file_is_no_lock(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replaced: bool,  # noqa: FBT001  a parameter
) -> None:
    """Others would lock the new file of that name: asked again, we do too."""
    path = tmp_path / "a.lock"
    flock = fcntl.flock

    def remove_and_lock(descriptor: int, operation: int) -> None:
        path.unlink()
        if replaced:
            path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    assert LockFile.take(path) is None
    monkeypatch.undo()
    lock = LockFile.take(path)
    assert lock is not None
    lock.close()


def test_a_filesystem_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the same as a lock that another has; and no descriptor is lost."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="No locks available"):
        LockFile.take(tmp_path / "a.lock")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
