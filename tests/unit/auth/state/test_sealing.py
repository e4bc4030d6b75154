"""The seal on stored states, and the key that the disk store keeps for itself."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiro2api.auth.state.sealing import KEY_FILE, OVERHEAD_BYTES, Seal, SealError, load_or_make_key
from kiro2api.auth.state.store import StateError

TEXT = b'{"refreshToken":"refresh-1"}'


def _opens(seal: Seal, credential_id: str, data: bytes) -> bool:
    try:
        return seal.unseal(credential_id, data) == TEXT
    except SealError:
        return False


def test_what_is_sealed_opens_and_tells_nothing() -> None:
    """The text is nowhere in it, and two seals of the same text have nothing in common but the layout's number."""
    seal = Seal("key-a")
    one, other = seal.seal("id", TEXT), seal.seal("id", TEXT)

    assert seal.unseal("id", one) == seal.unseal("id", other) == TEXT
    assert one[:1] == other[:1]
    assert one[1:13] != other[1:13]
    assert b"refresh" not in one
    assert len(one) == len(TEXT) + OVERHEAD_BYTES


@pytest.mark.parametrize(("key", "credential_id"), [("key-b", "id"), ("key-a", "other"), ("KEY-A", "id")])
def test_another_key_or_credential_does_not_open_it(key: str, credential_id: str) -> None:
    """A state that is moved to another credential's place is worth nothing there."""
    assert not _opens(Seal(key), credential_id, Seal("key-a").seal("id", TEXT))


def test_what_is_damaged_does_not_open() -> None:
    """Whatever bit is changed, wherever it is cut, whatever is added."""
    seal = Seal("key-a")
    data = seal.seal("id", TEXT)
    bits = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    cuts = [data[:length] for length in range(len(data))]

    assert not any(_opens(seal, "id", damaged) for damaged in [*bits, *cuts, data + b"\0"])


def test_a_key_is_replaced_by_putting_the_new_one_in_front() -> None:
    """The first of a list seals, all open."""
    old, both, new = Seal("key-a"), Seal(" key-b , key-a,"), Seal("key-b")

    assert both.unseal("id", old.seal("id", TEXT)) == TEXT
    assert new.unseal("id", both.seal("id", TEXT)) == TEXT
    assert not _opens(old, "id", both.seal("id", TEXT))


@pytest.mark.parametrize("key", ["", " ", ",", " , "])
def test_there_must_be_a_key(key: str) -> None:
    """A variable that is set to nothing protects nothing."""
    with pytest.raises(SealError):
        Seal(key)


def test_the_repr_tells_no_key() -> None:
    """Nor does what the seal refers to."""
    assert "key-a" not in f"{Seal('key-a')!r}{Seal('key-a')._ciphers!r}"


def test_the_directory_s_own_key_stays(tmp_path: Path) -> None:
    """Drawn once, readable for its owner alone whatever the umask; nothing else is left."""
    before = os.umask(0)
    try:
        key = load_or_make_key(tmp_path)
    finally:
        os.umask(before)

    assert load_or_make_key(tmp_path) == key
    assert len(key) >= 43
    assert "," not in key
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_the_key_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash of the machine there is no key, or a whole one: nothing is sealed with one that may go."""
    steps: list[str] = []
    sync, link = os.fsync, os.link

    def note_sync(descriptor: int) -> None:
        steps.append("sync directory" if Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path else "sync file")
        sync(descriptor)

    def note_link(source: Path, target: Path) -> None:
        steps.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "link", note_link)
    load_or_make_key(tmp_path)

    assert steps == ["sync file", "link", "sync directory"]


def test_all_who_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    """Whoever comes second takes the first one's."""
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(load_or_make_key, [tmp_path] * 8))

    assert keys == {(tmp_path / KEY_FILE).read_text(encoding="ascii")}


def test_leftovers_of_killed_processes_are_cleared_up(tmp_path: Path) -> None:
    """A key that nobody has sealed with is no loss."""
    (tmp_path / f"{KEY_FILE}.00ff").write_text("half a k", encoding="ascii")

    assert load_or_make_key(tmp_path) != "half a k"
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_an_empty_key_is_an_error(tmp_path: Path) -> None:
    """Another one would not open what this one has sealed: a person has to decide."""
    (tmp_path / KEY_FILE).touch()

    with pytest.raises(StateError) as caught:
        load_or_make_key(tmp_path)
    assert "STATE_KEY" in caught.value.detail


def test_a_filesystem_without_links_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the error's name; the draft does not stay."""

    def refuse(_source: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)

    with pytest.raises(StateError) as caught:
        load_or_make_key(tmp_path)
    assert caught.value.detail == f"{KEY_FILE}: EPERM: Operation not permitted"
    assert list(tmp_path.iterdir()) == []
