"""The bounds of what is kept, beside what the tests of HTTP/2 show of them."""

import pytest
import trio
from hypercorn.protocol.h2 import BufferCompleteError
from hypercorn.trio.worker_context import EventWrapper

from kiro2api.edge.buffers import Backlog


async def test_nothing_is_added_behind_the_end() -> None:
    """A stream that is over takes no more."""
    backlog = Backlog(EventWrapper, seconds=1)
    backlog.set_complete()

    with pytest.raises(BufferCompleteError):
        await backlog.push(b"x")


async def test_pieces_are_taken_in_order() -> None:
    """However large, in whatever portions."""
    backlog = Backlog(EventWrapper, seconds=1)
    await backlog.push(b"abc")
    await backlog.push(b"def")
    backlog.set_complete()

    assert [await backlog.pop(4), backlog.complete, await backlog.pop(4), backlog.complete] == [
        b"abcd",
        False,
        b"ef",
        True,
    ]


async def test_the_end_is_waited_for_though_all_is_taken() -> None:
    """Else a stream might be closed before its end has been sent."""
    backlog = Backlog(EventWrapper, seconds=1)
    await backlog.push(b"x")
    assert await backlog.pop(10) == b"x"
    backlog.set_complete()
    with trio.move_on_after(0.01) as scope:
        await backlog.drain()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backlog.drain)
        await trio.testing.wait_all_tasks_blocked()
        assert await backlog.pop(10) == b""
