"""Looking for secrets where none must be: whole or in part, in any of the spellings that data is written in."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

PIECE_LENGTH = 14
"""Characters: whoever shows so many of a secret's beginning or end shows too much of it."""


def make_secret(name: str, prefix: str = "") -> str:
    """A secret that looks like one, and of which no piece is found by chance."""
    return prefix + hashlib.sha512(name.encode()).hexdigest()[:80]


def find_leaks(place: str, data: bytes | str, secrets: Mapping[str, str]) -> Iterator[str]:
    """What is found in ``data``, as a sentence without the secret itself."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    for name, secret in secrets.items():
        for spelling, written in _spell(secret):
            if written in text:
                yield f"{name} {spelling} in {place}"


def find_leaks_in_folder(folder: Path, secrets: Mapping[str, str]) -> Iterator[str]:
    """The same for the names and the content of all files in ``folder``, at any depth."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        yield from find_leaks(f"the name {name}", name, secrets)
        if path.is_file():
            yield from find_leaks(f"the file {name}", path.read_bytes(), secrets)


def _spell(secret: str) -> Iterator[tuple[str, str]]:
    data = secret.encode()
    yield "whole", secret
    yield "at its beginning", secret[:PIECE_LENGTH]
    yield "at its end", secret[-PIECE_LENGTH:]
    yield "quoted", quote(secret, safe="")
    yield "as a form", quote_plus(secret)
    yield "in hexadecimal digits", data.hex()
    # Wherever it stands in what was encoded: each of the three places begins with other characters.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data)[4:-4].decode()
        yield "in base64", encoded
        yield "in base64 for URLs", encoded.replace("+", "-").replace("/", "_")
