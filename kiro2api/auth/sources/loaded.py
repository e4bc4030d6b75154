"""What reading a source brings, and how the credentials of several sources are put together.

A credential carries the label that its operator chose, or an empty one until :func:`assign_labels`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kiro2api.auth.credentials import ApiKey, Credential, Login, build_fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Credentials, and what belongs to their having been read."""

    credentials: tuple[Credential, ...] = ()
    watched: tuple[Path, ...] = ()
    """Every path, existing or not, whose change may change the credentials."""
    notes: tuple[str, ...] = ()
    """Whole sentences for the log."""


def merge_loaded(parts: Iterable[Loaded]) -> Loaded:
    """All of ``parts`` in their order: doubles dropped, labels distinct, each path and note once."""
    taken = tuple(parts)
    credentials, notes = drop_doubles(credential for part in taken for credential in part.credentials)
    return Loaded(
        credentials=assign_labels(credentials),
        watched=tuple(dict.fromkeys(path for part in taken for path in part.watched)),
        notes=tuple(dict.fromkeys([*(note for part in taken for note in part.notes), *notes])),
    )


def build_credential(login: Login, *, source: str, label: str = "") -> Credential:
    """The credential of a login that nobody but the operator changes."""
    fingerprint = build_fingerprint(get_secret(login))
    return Credential(credential_id=fingerprint, origin=fingerprint, label=label, source=source, login=login)


def get_secret(login: Login) -> str:
    """What the login lives by: the API key, or the refresh token."""
    return login.key if isinstance(login, ApiKey) else login.refresh_token


def drop_doubles(credentials: Iterable[Credential]) -> tuple[tuple[Credential, ...], tuple[str, ...]]:
    """The credentials, each secret once, and a note about each that was dropped.

    The first keeps its place and its label. If one of the two is kept by another program, that one is used: it stays
    right when the program renews it.
    """
    kept: dict[str, Credential] = {}
    notes: list[str] = []
    for credential in credentials:
        secret = get_secret(credential.login)
        first = kept.setdefault(secret, credential)
        if first is credential:
            continue
        if credential.shared_file and not first.shared_file:
            kept[secret] = replace(credential, label=first.label)
        if first.source == credential.source:
            notes.append(f"{first.source} holds one credential twice; it is used once.")
        else:
            notes.append(f"{first.source} and {credential.source} hold the same credential; it is used once.")
    return tuple(kept.values()), tuple(notes)


def assign_labels(credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """The credentials with distinct labels: their own, counted on where two are the same, or like ``social-1``."""
    taken: set[str] = set()
    labelled = [replace(c, label=_claim(c.label, taken)) if c.label else c for c in credentials]
    numbers: dict[str, int] = {}
    for index, credential in enumerate(labelled):
        if not credential.label:
            numbers[credential.kind] = number = _find_free(credential.kind, numbers.get(credential.kind, 0) + 1, taken)
            labelled[index] = replace(credential, label=_claim(f"{credential.kind}-{number}", taken))
    return tuple(labelled)


def _claim(label: str, taken: set[str]) -> str:
    if label in taken:
        label = f"{label}-{_find_free(label, 2, taken)}"
    taken.add(label)
    return label


def _find_free(stem: str, number: int, taken: set[str]) -> int:
    while f"{stem}-{number}" in taken:
        number += 1
    return number
