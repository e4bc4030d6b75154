"""Which host is asked."""

from collections import Counter

import pytest

from kiro2api.upstream.hosts import OUT_SECONDS, HostBook

HOSTS = ("https://a.test", "https://b.test", "https://c.test")
A, B, C = HOSTS
NONE: Counter[str] = Counter()


def _select(book: HostBook, now: float = 0, failed: Counter[str] = NONE) -> str:
    return book.select(HOSTS, now, failed=failed)


@pytest.mark.parametrize(
    ("out", "failed", "url"),
    [
        ("", {}, A),
        ("a", {}, B),
        ("ab", {}, C),
        ("abc", {}, A),
        ("abc", {A: 1}, B),
        ("abc", {A: 2, B: 1, C: 1}, B),
        ("", {A: 1}, B),
        ("", {A: 1, B: 1, C: 1}, A),
        ("b", {A: 1}, C),
        ("bc", {A: 1}, A),
    ],
)
def test_the_first_host_that_is_not_out_and_has_failed_least(out: str, failed: dict[str, int], url: str) -> None:
    """A host that is out for all comes after one that has failed for this request; if all are out, all are in."""
    book = HostBook()
    for letter in out:
        book.record_out(f"https://{letter}.test", 0)
    assert _select(book, 1, Counter(failed)) == url


@pytest.mark.parametrize(
    ("out", "failed", "other"),
    [("", {}, True), ("b", {}, True), ("bc", {}, False), ("b", {C: 1}, False), ("", {B: 1, C: 1}, False)],
)
def test_another_host_is_one_that_may_do_better(out: str, failed: dict[str, int], *, other: bool) -> None:
    """Neither out nor failed."""
    book = HostBook()
    for letter in out:
        book.record_out(f"https://{letter}.test", 0)
    assert book.has_other(HOSTS, 1, than=A, failed=Counter(failed)) is other
    assert not HostBook().has_other([A], 1, than=A, failed=NONE)


def test_one_request_tries_a_host_again_for_all() -> None:
    """When its time is up; the others follow once it has answered."""
    book = HostBook()
    book.record_out(A, 0)
    assert _select(book, OUT_SECONDS - 1) == B
    assert [_select(book, OUT_SECONDS) for _ in range(3)] == [A, B, B]
    assert _select(book, 2 * OUT_SECONDS - 1) == B
    book.record_answer(A)
    assert _select(book, OUT_SECONDS) == A


def test_a_single_host_is_asked_whatever_happens() -> None:
    """There is nobody else."""
    book = HostBook()
    book.record_out(A, 0)
    assert {book.select([A], now, failed=Counter({A: now})) for now in range(5)} == {A}
