"""A request's body and its life, without a server."""

import pytest
import trio

from kiro2api.errors import Kiro2ApiError
from kiro2api.routes.life import (
    DRAIN_SECONDS,
    DRAINED_BYTES,
    BodyTimeoutError,
    BodyTooLargeError,
    IncomingBody,
    RequestLife,
    ShuttingDownError,
)


def _body(*, limit: int = 10, is_expected: bool = True) -> IncomingBody:
    return IncomingBody(limit=limit, seconds=5, is_expected=is_expected)


async def test_a_body_is_the_sum_of_its_pieces(autojump_clock: trio.testing.MockClock) -> None:
    """Up to the limit, the limit included."""
    del autojump_clock
    body = _body()
    body.receive_data(b"01234", more=True)
    pending = [body.is_pending]
    body.receive_data(b"56789", more=False)
    assert [*pending, body.is_pending] == [True, False]
    assert b"".join(await body.read(10)) == b"0123456789"


async def test_a_body_over_the_limit_is_refused_when_it_passes_it(autojump_clock: trio.testing.MockClock) -> None:
    """Without waiting for its end."""
    del autojump_clock
    body = _body()
    body.receive_data(b"x" * 11, more=True)
    with pytest.raises(BodyTooLargeError):
        await body.read(None)
    assert trio.current_time() == 0


async def test_an_announced_length_over_the_limit_is_refused_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Not a byte has to come."""
    del autojump_clock
    with pytest.raises(BodyTooLargeError):
        await _body().read(11)
    assert trio.current_time() == 0


async def test_a_body_that_does_not_come_is_refused_in_time(autojump_clock: trio.testing.MockClock) -> None:
    """After the deadline, and with what has come so far."""
    del autojump_clock
    body = _body()
    body.receive_data(b"x", more=True)
    with pytest.raises(BodyTimeoutError):
        await body.read(None)
    assert trio.current_time() == 5


@pytest.mark.parametrize(
    ("announced", "waited"), [(5, DRAIN_SECONDS), (DRAINED_BYTES, DRAIN_SECONDS), (DRAINED_BYTES + 1, 0.0), (None, 0.0)]
)
async def test_only_a_small_body_is_waited_for(
    autojump_clock: trio.testing.MockClock, announced: int | None, waited: float
) -> None:
    """A moment, for bodies that are cheaper to read than a connection is to open."""
    del autojump_clock
    await _body().drain(announced)
    assert trio.current_time() == waited


async def test_no_body_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """A request without one is not pending."""
    del autojump_clock
    body = _body(is_expected=False)
    assert not body.is_pending
    await body.drain(0)
    assert trio.current_time() == 0


async def test_the_first_end_of_a_life_is_the_one_that_counts(autojump_clock: trio.testing.MockClock) -> None:
    """A failure after a disconnect does not hide the disconnect."""
    del autojump_clock
    async with trio.open_nursery() as nursery:
        life = RequestLife(request_id="r", began_at=0, nursery=nursery, body=_body())
        life.fail(ShuttingDownError())
        life.fail(Kiro2ApiError("later"))
        assert (life.outcome, type(life.error)) == ("overloaded", ShuttingDownError)
