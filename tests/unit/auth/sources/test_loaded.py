"""Credentials of several sources put together."""

from dataclasses import replace
from pathlib import Path

import pytest

from kiro2api.auth.credentials import ApiKey, Credential, SharedFile, SharedFileKind, SocialLogin
from kiro2api.auth.sources.loaded import Loaded, assign_labels, build_credential, drop_doubles, merge_loaded


def _social(refresh_token: str, *, label: str = "", source: str = "A") -> Credential:
    return build_credential(SocialLogin(refresh_token=refresh_token), source=source, label=label)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["", "", "work"], ["social-1", "social-2", "work"]),
        (["work", "work", "work"], ["work", "work-2", "work-3"]),
        (["work", "work-2", "work"], ["work", "work-2", "work-3"]),
        (["", "social-1", ""], ["social-2", "social-1", "social-3"]),
    ],
)
def test_labels_are_distinct(given: list[str], expected: list[str]) -> None:
    """The operator's own come first, whatever the order; the others are numbered around them."""
    credentials = [_social(str(number), label=label) for number, label in enumerate(given)]

    assert [credential.label for credential in assign_labels(credentials)] == expected


def test_each_kind_is_numbered_by_itself() -> None:
    """The second credential is the first of its kind."""
    credentials = [_social("a"), build_credential(ApiKey(key="ksk_a"), source="B"), _social("b")]

    assert [credential.label for credential in assign_labels(credentials)] == ["social-1", "api-key-1", "social-2"]


def test_a_double_is_dropped_with_a_note() -> None:
    """The first keeps its place, and the note says where both stand."""
    first, other = _social("a", label="mine"), _social("b")

    assert drop_doubles([first, other, _social("a", source="B"), _social("b")]) == (
        (first, other),
        ("A and B hold the same credential; it is used once.", "A holds one credential twice; it is used once."),
    )


def test_a_double_that_another_program_keeps_is_preferred() -> None:
    """It stays right when the program renews it; place and label remain the operator's."""
    shared_file = SharedFile(kind=SharedFileKind.IDE_TOKEN, path="/x")
    shared = replace(_social("a", source="/x"), shared_file=shared_file)
    listed = _social("a", label="mine")

    assert drop_doubles([listed, _social("b"), shared])[0] == (replace(shared, label="mine"), _social("b"))
    assert drop_doubles([shared, listed])[0] == (shared,)


def test_parts_are_merged_in_order() -> None:
    """Each path and each note stands once."""
    part = Loaded(credentials=(_social("a"),), watched=(Path("/x"), Path("/y")), notes=("n.",))
    other = Loaded(credentials=(_social("b"),), watched=(Path("/y"), Path("/z")), notes=("n.", "m."))

    assert merge_loaded([part, other]) == Loaded(
        credentials=(_social("a", label="social-1"), _social("b", label="social-2")),
        watched=(Path("/x"), Path("/y"), Path("/z")),
        notes=("n.", "m."),
    )
