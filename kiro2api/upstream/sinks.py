"""Where the bytes of an answer go."""

from typing import Protocol


class Sink(Protocol):
    """Takes an answer piece by piece; without a task switch for as long as whoever reads it keeps up."""

    def offer(self, data: bytes) -> bool:
        """Takes ``data``, and says whether the next piece may follow at once; if not, after :meth:`flush` only."""
        ...

    async def flush(self) -> None:
        """Waits until there is room for the next piece."""
        ...
