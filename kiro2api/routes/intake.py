"""Reading requests without holding up the loop: light ones where they come in, heavy ones in a thread.

The thread only computes: values go in, a value comes out, and no state is shared. Python runs one thread at a time and
changes it between two operations; an operation is one pass over a string of the request, at the longest.
"""

from collections.abc import Callable, Mapping
from functools import partial

import trio
from quart import request

from kiro2api.conversion.converter import Converter
from kiro2api.protocol.attachments import NOTHING_CONVERTED, Converted, UnconvertedError
from kiro2api.routes.guard import check_content_encoding
from kiro2api.routes.life import RequestLife

HEAVY_BYTES = 131_072
"""Of a request, from which on it is heavy: reading an agent's usual body of this size takes the loop some 5 ms."""
HEAVY_AT_ONCE = 1
"""Threads that compute: a second one would not make the first one's request any faster, but the loop slower."""


class Intake:
    """What computes something out of a request's body does so here.

    Args:
        converter: Converts the attachments that the upstream would not take.
    """

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._places = trio.CapacityLimiter(HEAVY_AT_ONCE)

    async def read[T](self, life: RequestLife, parse: Callable[[bytes], T]) -> T:
        """What ``parse`` makes of the body of the request that is being handled.

        Raises:
            EncodedBodyError: It is compressed.
            BodyTooLargeError: It exceeds the limit.
            BodyTimeoutError: It did not arrive in time.
        """
        parts = await self._receive(life)
        return await self.compute(life, partial(_parse, parts, parse))

    async def read_whole[T](self, life: RequestLife, parse: Callable[[bytes, Mapping[str, Converted]], T]) -> T:
        """The same where attachments may have to be converted: as for :meth:`build`, with the body before the rest."""
        parts = await self._receive(life)
        return await self.build(life, partial(_parse_whole, parts, parse))

    async def build[T](self, life: RequestLife, work: Callable[[Mapping[str, Converted]], T]) -> T:
        """What ``work`` returns, or raises, when it is given all that it wants converted.

        Without an attachment that must be, it is done once.

        Raises:
            ConverterUnavailableError: Nothing can be converted now.
        """
        converted = NOTHING_CONVERTED
        while True:
            try:
                return await self.compute(life, partial(work, converted))
            except UnconvertedError as error:
                missing = error.conversions
            converted = {**converted, **await self._converter.convert(missing)}

    async def _receive(self, life: RequestLife) -> list[bytes]:
        check_content_encoding(request)
        return await life.body.read(request.content_length)

    async def compute[T](self, life: RequestLife, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises; it looks at no more than the request whose ``life`` this is.

        A light request's work is done without a checkpoint. A heavy one's is not broken off when it is cancelled, only
        before it begins: nothing goes on that the request does not wait for, and its place is free when it is.
        """
        if life.body.size + life.remembered < HEAVY_BYTES:
            return work()
        return await trio.to_thread.run_sync(work, limiter=self._places)


def _parse[T](parts: list[bytes], parse: Callable[[bytes], T]) -> T:
    body = b"".join(parts)
    parts.clear()  # which may be many megabytes
    return parse(body)


def _parse_whole[T](
    parts: list[bytes], parse: Callable[[bytes, Mapping[str, Converted]], T], converted: Mapping[str, Converted]
) -> T:
    parts[:] = [b"".join(parts)]  # joined once, and kept for the next time
    return parse(parts[0], converted)
