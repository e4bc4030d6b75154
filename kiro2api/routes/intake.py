"""Reading requests without holding up the loop: light ones where they come in, heavy ones in a thread.

The thread only computes: values go in, a value comes out, and no state is shared. Python runs one thread at a time and
changes it between two operations; an operation is one pass over a string of the request, at the longest.
"""

from collections.abc import Callable
from functools import partial

import trio
from quart import request

from kiro2api.routes.guard import check_content_encoding
from kiro2api.routes.life import RequestLife

HEAVY_BYTES = 131_072
"""Of a body, from which on it is heavy: reading an agent's usual body of this size takes the loop some 5 ms."""
HEAVY_AT_ONCE = 1
"""Threads that compute: a second one would not make the first one's request any faster, but the loop slower."""


class Intake:
    """What computes something out of a request's body does so here."""

    def __init__(self) -> None:
        self._places = trio.CapacityLimiter(HEAVY_AT_ONCE)

    async def read[T](self, life: RequestLife, parse: Callable[[bytes], T]) -> T:
        """What ``parse`` makes of the body of the request that is being handled.

        Raises:
            EncodedBodyError: It is compressed.
            BodyTooLargeError: It exceeds the limit.
            BodyTimeoutError: It did not arrive in time.
        """
        check_content_encoding(request)
        parts = await life.body.read(request.content_length)
        return await self.compute(life, partial(_parse, parts, parse))

    async def compute[T](self, life: RequestLife, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises; it looks at no more than the request whose ``life`` this is.

        A light request's work is done without a checkpoint. A heavy one's is not broken off when it is cancelled, only
        before it begins: nothing goes on that the request does not wait for, and its place is free when it is.
        """
        if life.body.size < HEAVY_BYTES:
            return work()
        return await trio.to_thread.run_sync(work, limiter=self._places)


def _parse[T](parts: list[bytes], parse: Callable[[bytes], T]) -> T:
    body = b"".join(parts)
    parts.clear()  # which may be many megabytes
    return parse(body)
