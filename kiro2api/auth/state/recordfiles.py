"""The sealed records in a state directory: one file a credential, replaced whole or not at all; everything here blocks.

``<id>.record`` is the record. ``<id>.<chance>.draft`` is one that is to replace it: written whole at once, then synced,
then renamed. A process that is killed leaves a draft behind; the seal's tag tells whether that is whole, and then it
counts like the record, since the refresh token in it may be the only one that is still worth something. For the same
reason a whole draft stays when it could not be synced or renamed.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kiro2api.auth.state.directory import create_private_file, read_file, sync, write_all
from kiro2api.auth.state.record import MAX_RECORD_BYTES, Record, RecordFormatError, decode_record, encode_record
from kiro2api.auth.state.sealing import OVERHEAD_BYTES, Seal, SealError
from kiro2api.auth.state.store import StaleRecordError, StateError

_MAX_FILE_BYTES = MAX_RECORD_BYTES + OVERHEAD_BYTES
_DRAFT_NAME = re.compile(r"([\w-]+)\.[0-9a-f]+\.draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record that is to replace an older one, in the hands of whoever writes it."""

    credential_id: str
    generation: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the files of one credential say."""

    kept: Record | None
    """Of the record's own file."""
    is_unreadable: bool
    """That file exists and does not open."""
    drafts: tuple[tuple[Path, Record | None], ...]
    """``None`` for one that does not open: torn, or sealed with a key that we do not have."""

    @property
    def newest(self) -> tuple[Path, Record] | None:
        """The whole draft with the highest generation, if that is higher than the kept record's."""
        bar = self.kept.generation if self.kept is not None else -1
        whole = [(path, record) for path, record in self.drafts if record is not None and record.generation > bar]
        return max(whole, key=lambda found: found[1].generation, default=None)


class RecordFiles:
    """The records in ``directory``."""

    def __init__(self, directory: Path, seal: Seal) -> None:
        self._directory = directory
        self._seal = seal

    def find(self, credential_id: str) -> Found:
        """What is stored, while others may write: a draft that is renamed meanwhile is read as the record.

        Raises:
            OSError: Something cannot be read.
        """
        drafts = tuple((path, self._open_draft(credential_id, path)) for path in self._list_drafts(credential_id))
        kept, is_unreadable = None, False
        try:
            kept = self._open(credential_id, self._name_record(credential_id))
        except (SealError, RecordFormatError):
            is_unreadable = True
        return Found(kept=kept, is_unreadable=is_unreadable, drafts=drafts)

    def begin(self, credential_id: str, record: Record) -> Draft:
        """A draft that is whole, so that the death of this process does not lose it; not yet that of the machine.

        Raises:
            StateError: The record is larger than it may be.
            OSError: There is no room for it; nothing of it is left behind.
        """
        plaintext = encode_record(record)
        if len(plaintext) > MAX_RECORD_BYTES:
            raise StateError(f"a record of {len(plaintext)} bytes; {MAX_RECORD_BYTES} are allowed")
        path = self._directory / f"{credential_id}.{secrets.token_hex(8)}.draft"
        descriptor = create_private_file(path)
        try:
            write_all(descriptor, self._seal.seal(credential_id, plaintext))
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)
        return Draft(credential_id=credential_id, generation=record.generation, path=path)

    def finish(self, draft: Draft) -> None:
        """Lets ``draft`` replace the record, for good.

        Raises:
            StaleRecordError: The record's generation is not lower; it stands, the draft is thrown away.
            OSError: It could not be done; the draft is left to the next holder.
        """
        kept = self.find(draft.credential_id).kept
        if kept is not None and kept.generation >= draft.generation:
            draft.path.unlink(missing_ok=True)
            raise StaleRecordError
        self._install(draft.credential_id, draft.path)
        with suppress(OSError):  # what is left is older, and passed over
            for path in self._list_drafts(draft.credential_id):
                path.unlink(missing_ok=True)

    def adopt_drafts(self, credential_id: str) -> None:
        """Finishes what dead writers have begun, and clears up; the caller has the credential's lock.

        A draft that does not open is left alone until the record beside it does: the fault may be our key's.

        Raises:
            OSError: It could not be done; what is stored still counts.
        """
        found = self.find(credential_id)
        newest = found.newest
        if newest is not None:
            self._install(credential_id, newest[0])
        is_our_key = newest is not None or found.kept is not None
        for path, record in found.drafts:
            if record is not None or is_our_key:
                path.unlink(missing_ok=True)

    def list_drafted(self) -> frozenset[str]:
        """The credentials that have drafts."""
        return frozenset(owner for owner, _ in self._iterate_drafts())

    def _install(self, credential_id: str, path: Path) -> None:
        sync(path)
        path.replace(self._name_record(credential_id))
        sync(self._directory)

    def _open_draft(self, credential_id: str, path: Path) -> Record | None:
        try:
            return self._open(credential_id, path)
        except (SealError, RecordFormatError):
            return None

    def _open(self, credential_id: str, path: Path) -> Record | None:
        data = read_file(path, _MAX_FILE_BYTES)
        return None if data is None else decode_record(self._seal.unseal(credential_id, data))

    def _name_record(self, credential_id: str) -> Path:
        return self._directory / f"{credential_id}.record"

    def _list_drafts(self, credential_id: str) -> list[Path]:
        return [path for owner, path in self._iterate_drafts() if owner == credential_id]

    def _iterate_drafts(self) -> Iterator[tuple[str, Path]]:
        for path in self._directory.iterdir():
            match = _DRAFT_NAME.fullmatch(path.name)
            if match is not None:
                yield match[1], path
