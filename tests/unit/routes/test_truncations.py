"""The book of conversations whose tool calls are cut."""

from kiro2api.protocol.kiro.truncations import CutRun
from kiro2api.routes.truncations import TruncationBook


def run(count: int) -> CutRun:
    """A run of that many cuts."""
    return CutRun(tool="Write", count=count, size=9)


def test_runs_are_kept_apart() -> None:
    """Each conversation has its own, the latest; a whole answer ends it."""
    book = TruncationBook()
    book.record_run("a", run(1))
    book.record_run("b", run(2))
    book.record_run("a", run(3))
    assert [book.find_run(key) for key in "abc"] == [run(3), run(2), None]
    book.record_run("a", None)
    book.record_run("c", None)
    assert [book.find_run(key) for key in "abc"] == [None, run(2), None]


def test_room_is_bounded() -> None:
    """The conversation without news for the longest time has to go."""
    book = TruncationBook(room=2)
    for key, count in (("a", 1), ("b", 1), ("a", 2), ("c", 1)):
        book.record_run(key, run(count))
    assert [book.find_run(key) for key in "abc"] == [run(2), None, run(1)]
