"""What HTTP/2 keeps of either direction, with bounds that h2's and hypercorn's own buffers do not have."""

import trio
from h2.frame_buffer import FrameBuffer
from hypercorn.protocol.h2 import BufferCompleteError, StreamBuffer
from hypercorn.typing import Event as EventType
from hyperframe.frame import Frame

HIGH_WATER = 32_768
"""Of one stream's answer: with so much waiting for the client, the application waits too."""
LOW_WATER = 16_384
LENGTH_BYTES = 3
"""Of a frame's head, which begins with them (RFC 9113, 4.1)."""


class Frames(FrameBuffer):
    """What has come of a client's frames. One that is too long is refused by its head, not kept until it is whole."""

    def __next__(self) -> Frame:
        if len(self._data) >= LENGTH_BYTES:
            self._validate_frame_length(int.from_bytes(self._data[:LENGTH_BYTES]))
        return super().__next__()


class StalledError(Exception):
    """The client has taken nothing of a stream for too long."""


class Backlog(StreamBuffer):
    """What of a stream's answer waits for the client.

    Args:
        event_class: Of the loop.
        seconds: Without any progress, after which waiting is given up.
    """

    def __init__(self, event_class: type[EventType], *, seconds: float) -> None:
        super().__init__(event_class)
        self._seconds = seconds
        self._patience = trio.CancelScope()

    async def push(self, data: bytes) -> None:
        """Adds ``data``, and waits while there is too much.

        Raises:
            BufferCompleteError: The stream is over.
            StalledError: Nothing was taken for too long.
        """
        if self._complete:
            raise BufferCompleteError
        self.buffer.extend(data)
        await self._is_empty.clear()
        if len(self.buffer) >= HIGH_WATER:
            await self._paused.clear()
            await self._wait(self._paused)

    async def drain(self) -> None:
        """Waits until all is taken, and the end with it: once more, if there was nothing left but the end.

        Raises:
            StalledError: Nothing was taken for too long.
        """
        await self._is_empty.clear()
        await self._wait(self._is_empty)

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if data:
            self._patience.deadline = trio.current_time() + self._seconds
        if len(self.buffer) < LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data

    async def _wait(self, event: EventType) -> None:
        with trio.CancelScope(deadline=trio.current_time() + self._seconds) as self._patience:
            await event.wait()
        if self._patience.cancelled_caught:
            raise StalledError
