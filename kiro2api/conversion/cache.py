"""Results of conversions, kept for a while: a client sends its attachments again with each turn."""

import sys
from collections import OrderedDict
from typing import Final, assert_never

from kiro2api.protocol.attachments import Converted, ConvertedImage, PdfText, Refusal

MAX_CACHE_BYTES: Final = 33_554_432
"""Two of the largest pictures, or some ten thousand pages; a proxy that serves holds as much for one large request."""
MAX_CACHE_RESULTS: Final = 256


class ConversionCache:
    """The results that were asked for last, within two limits.

    Args:
        max_bytes: Of all results together; a larger one is not kept.
        max_results: Their number.
    """

    def __init__(self, *, max_bytes: int = MAX_CACHE_BYTES, max_results: int = MAX_CACHE_RESULTS) -> None:
        self._max_bytes = max_bytes
        self._max_results = max_results
        self._size = 0
        self._results: OrderedDict[str, Converted] = OrderedDict()
        """By digest, the one that was asked for last at the end."""

    def find(self, digest: str) -> Converted | None:
        """The result of the conversion with this digest, if it is still there."""
        found = self._results.get(digest)
        if found is not None:
            self._results.move_to_end(digest)
        return found

    def add(self, digest: str, result: Converted) -> None:
        """Keeps a result, and forgets as many others as needed; ``digest`` must be new."""
        self._results[digest] = result
        self._size += _measure(result)
        while self._size > self._max_bytes or len(self._results) > self._max_results:
            _, oldest = self._results.popitem(last=False)
            self._size -= _measure(oldest)


def _measure(result: Converted) -> int:
    """Bytes of memory."""
    match result:
        case ConvertedImage(data=data):
            return sys.getsizeof(data)
        case PdfText(pages=pages):
            return sum(map(sys.getsizeof, pages))
        case Refusal(message=message):
            return sys.getsizeof(message)
        case _:
            assert_never(result)
