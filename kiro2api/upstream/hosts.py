"""Which of the upstream's hosts is asked.

Pure, but for the memory that all requests share: a host that could not be reached, or did not know the operation, is
passed over for a while if there is another one, so that not every request has to find out. When the while is over, one
request tries the host again, and the others follow once it has answered.
"""

from collections.abc import Mapping, Sequence

OUT_SECONDS = 60.0
"""Of a host; connecting to one that is gone takes seconds, and one that comes back is not needed at once."""


class HostBook:
    """The hosts that are out; times are on any one clock, in seconds."""

    def __init__(self, *, out_seconds: float = OUT_SECONDS) -> None:
        self._out_seconds = out_seconds
        self._out_until: dict[str, float] = {}

    def select(self, urls: Sequence[str], now: float, *, failed: Mapping[str, int]) -> str:
        """The host to ask: not out if possible, then the one that has failed least, then the first.

        Args:
            urls: All that may be asked, the best first; at least one.
            now: When.
            failed: How often each has failed for the request at hand.
        """
        places = {url: place for place, url in enumerate(urls)}
        url = min(places, key=lambda url: (self._is_out(url, now), failed.get(url, 0), places[url]))
        if url in self._out_until:  # this request tries it, for the others too
            self.record_out(url, now)
        return url

    def has_other(self, urls: Sequence[str], now: float, *, than: str, failed: Mapping[str, int]) -> bool:
        """Whether another host could be asked that is not out and has not failed for the request at hand."""
        return any(url != than and not failed.get(url) and not self._is_out(url, now) for url in urls)

    def record_out(self, url: str, now: float) -> None:
        """Notes that nobody is there who knows the operation."""
        self._out_until[url] = now + self._out_seconds

    def record_answer(self, url: str) -> None:
        """Notes that the host answers, whatever it says."""
        self._out_until.pop(url, None)

    def _is_out(self, url: str, now: float) -> bool:
        return now < self._out_until.get(url, now)
