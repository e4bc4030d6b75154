"""Seals what is stored of a credential, so that the store's files, dumps and backups give nothing away.

Layout: one byte that names this layout, a random nonce of 96 bits, AES-256-GCM's ciphertext and tag. The key comes from
the operator's text by HKDF-SHA256, which suits a text drawn at random, not one that people remember. The credential's
id is authenticated too: what was sealed for one does not open for another. The tag also tells whole from torn.
"""

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kiro2api.auth.state.directory import create_private_file, read_file, sync, write_all
from kiro2api.auth.state.store import StateError, describe_os_error
from kiro2api.errors import Kiro2ApiError

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE = "seal.key"
"""Where the disk store keeps a key of its own, if it is given none."""
OVERHEAD_BYTES = 1 + 12 + 16
"""How much longer the sealed form is."""

_LAYOUT = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_MAX_KEY_FILE_BYTES = 4096
_PURPOSE = b"kiro2api stored states"


class SealError(Kiro2ApiError):
    """The key material is empty, or what was sealed does not open: another key's, another credential's, or damaged."""


class Seal:
    """Seals with one key, and opens with any of several.

    Args:
        key_material: A secret text, or several with commas between them: the first seals, all open. Whoever replaces a
            key puts the new one in front, and drops the old one when every credential has been refreshed.

    Raises:
        SealError: There is no key in it.
    """

    __slots__ = ("_ciphers",)

    def __init__(self, key_material: str) -> None:
        texts = [text for part in key_material.split(",") if (text := part.strip())]
        if not texts:
            raise SealError("The key that seals stored states is empty.")
        self._ciphers = tuple(AESGCM(_derive_key(text)) for text in texts)

    def seal(self, credential_id: str, plaintext: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _LAYOUT + nonce + self._ciphers[0].encrypt(nonce, plaintext, credential_id.encode())

    def unseal(self, credential_id: str, data: bytes) -> bytes:
        """What :meth:`seal` was given.

        Raises:
            SealError: No key of ours opens it.
        """
        if data[:1] == _LAYOUT and len(data) >= OVERHEAD_BYTES:
            nonce, ciphertext = data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :]
            for cipher in self._ciphers:
                with suppress(InvalidTag):
                    return cipher.decrypt(nonce, ciphertext, credential_id.encode())
        raise SealError("A stored state does not open: it was sealed with another key, or is damaged.")


def load_or_make_key(directory: "Path") -> str:
    """The key that is kept in ``directory``, drawn now if there is none; blocks.

    Processes that start together end with the same one: each writes its own to a private file, and the first to link
    that file to the key's name has won.

    Raises:
        StateError: It can be neither read nor made, as on a filesystem without hard links.
    """
    try:
        found = read_file(directory / KEY_FILE, _MAX_KEY_FILE_BYTES)
        if found is None:
            _make_key(directory)
            found = read_file(directory / KEY_FILE, _MAX_KEY_FILE_BYTES)
        for leftover in directory.glob(f"{KEY_FILE}.*"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{KEY_FILE}: {describe_os_error(error)}") from error
    key = (found or b"").decode("ascii", "replace").strip()
    if not key:
        raise StateError(f"{KEY_FILE} is empty: remove it, and what was sealed with it is lost; or set STATE_KEY")
    return key


def _make_key(directory: "Path") -> None:
    draft = directory / f"{KEY_FILE}.{secrets.token_hex(8)}"
    descriptor = create_private_file(draft)
    try:
        write_all(descriptor, secrets.token_urlsafe(_KEY_BYTES).encode("ascii"))
        os.fsync(descriptor)
        # The draft is gone if another process has won and cleared up since.
        with suppress(FileExistsError, FileNotFoundError):
            (directory / KEY_FILE).hardlink_to(draft)
        sync(directory)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)


def _derive_key(text: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(text.encode())
