"""Files with secrets."""

import errno
import os
import stat
from pathlib import Path

import pytest

from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import write_secret_file
from kiro2api.auth.sources.files import MAX_FILE_BYTES, describe_mode, read_file, read_text, replace_file


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Editors of Windows leave one."""
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbftext")

    assert (read_file(path), read_text(path)) == (b"text", "text")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"a" * (MAX_FILE_BYTES + 1), "more than"), (b"\xff", "not UTF-8")],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    """The error names the path."""
    path = tmp_path / "a"
    path.write_bytes(data)

    with pytest.raises(CredentialSourceError, match=words) as caught:
        read_text(path)

    assert caught.value.source == str(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe is not waited for, a folder is not read, and nothing is not there."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(CredentialSourceError, match="no regular file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(CredentialSourceError, match="cannot be read: Is a directory"):
        read_file(tmp_path)
    with pytest.raises(CredentialSourceError, match="no such file"):
        read_file(tmp_path / "nothing")
    with pytest.raises(CredentialSourceError, match="no path that can exist"):
        read_file(tmp_path / "a\0b")


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o622, 1)])
def test_a_loose_mode_is_noted(tmp_path: Path, mode: int, count: int) -> None:
    """Whoever else may read or write the file has the login."""
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    notes = describe_mode(path)

    assert len(notes) == count
    assert all(f"{mode:04o}" in note and str(path) in note for note in notes)
    assert describe_mode(tmp_path / "nothing") == ()


def test_a_secret_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask; the folders that are made for it too, and those that were there stay as they are."""
    tmp_path.chmod(0o755)
    path = tmp_path / "x" / "y" / "a.json"
    before = os.umask(0)
    try:
        write_secret_file(path, "text")
        write_secret_file(path, "other")
    finally:
        os.umask(before)

    assert path.read_text(encoding="utf-8") == "other"
    assert [_mode(p) for p in (path, path.parent, path.parent.parent, tmp_path)] == [0o600, 0o700, 0o700, 0o755]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o600), (0o400, 0o400), (0o666, 0o600)])
def test_a_mode_gets_no_looser(tmp_path: Path, mode: int, expected: int) -> None:
    """The rights of others are taken, the owner's are kept."""
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    replace_file(path, b"new")

    assert (path.read_bytes(), _mode(path)) == (b"new", expected)


def test_a_link_is_followed(tmp_path: Path) -> None:
    """What it points to is replaced, beside where that is."""
    target = tmp_path / "real" / "a"
    target.parent.mkdir()
    target.touch()
    link = tmp_path / "link"
    link.symlink_to(target)
    replace_file(link, b"new")

    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")


def test_a_failed_check_leaves_all_as_it_was(tmp_path: Path) -> None:
    """No temporary file stays behind."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def check() -> None:
        raise CredentialSourceError("no")

    with pytest.raises(CredentialSourceError, match=r"^no$"):
        replace_file(path, b"new", check=check)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """Errors of the system are ours by the time they leave."""
    with pytest.raises(CredentialSourceError, match="no such file"):
        replace_file(tmp_path / "nothing" / "a", b"new")


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    """The words are the system's."""
    (tmp_path / "a").touch()

    with pytest.raises(CredentialSourceError, match="cannot be written"):
        write_secret_file(tmp_path / "a" / "b", "text")


def test_a_file_mounted_by_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers are given single files; nothing can take the place of one."""

    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CredentialSourceError, match="mount its folder"):
        replace_file(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_user_stays_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives the new file to the owner of the old; anybody else leaves the old alone."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    given: list[tuple[int, int]] = []
    owner = path.stat()
    monkeypatch.setattr(os, "fchown", lambda _descriptor, uid, gid: given.append((uid, gid)))
    monkeypatch.setattr(os, "fstat", lambda _descriptor: os.stat_result((0, 0, 0, 0, owner.st_uid + 1, *[0] * 5)))
    replace_file(path, b"new")

    assert given == [(owner.st_uid, owner.st_gid)]
