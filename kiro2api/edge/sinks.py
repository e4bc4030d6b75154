"""The short way from an answer to its client: past hypercorn and h11, which have nothing to say between head and end.

A piece of a streamed body takes them some 30 microseconds, most of what an event of a paced answer costs; here it is
one system call. Head and end still go their way, so that they know what has become of the connection.
"""

from collections.abc import Awaitable, Callable


class ChunkSink:
    """The body of one answer in HTTP/1.1, a chunk for each piece; to be used after its head and before its end.

    Args:
        try_write: Sends what the client's buffers take of some bytes at once, and returns the rest.
        write: Sends all, and waits for it.
    """

    def __init__(self, try_write: Callable[[bytes], bytes], write: Callable[[bytes], Awaitable[None]]) -> None:
        self._try_write = try_write
        self._write = write
        self._rest = b""
        self.sent = 0
        """Bytes of the body, without what makes chunks of it."""

    def offer(self, data: bytes) -> bool:
        if not data:  # an empty chunk would end the body
            return not self._rest
        self.sent += len(data)
        chunk = b"%x\r\n%b\r\n" % (len(data), data)
        self._rest = self._rest + chunk if self._rest else self._try_write(chunk)
        return not self._rest

    async def flush(self) -> None:
        rest, self._rest = self._rest, b""
        await self._write(rest)
