"""What is kept of conversions, and for how long."""

import pytest

from kiro2api.conversion.cache import ConversionCache
from kiro2api.protocol.attachments import Converted, ConvertedImage, PdfText, Refusal
from kiro2api.protocol.images import ImageFormat

REFUSAL = Refusal(message="no")


def test_the_one_that_was_not_asked_for_goes_first() -> None:
    """What a conversation goes on with stays, however old it is."""
    cache = ConversionCache(max_results=2)
    for digest in ("a", "b"):
        cache.add(digest, REFUSAL)
    assert cache.find("a") is REFUSAL
    cache.add("c", REFUSAL)
    assert [cache.find(digest) for digest in "abc"] == [REFUSAL, None, REFUSAL]


@pytest.mark.parametrize(
    "large",
    [
        ConvertedImage(format=ImageFormat.PNG, data="A" * 1_000),
        PdfText(pages=("x" * 500, None, "全" * 250)),
        Refusal(message="x" * 1_000),
    ],
)
def test_results_take_no_more_memory_than_is_allowed(large: Converted) -> None:
    """As many go as are needed; one that is too large for itself is not kept, and leaves room for others."""
    cache = ConversionCache(max_bytes=1_500)
    for digest in "ab":
        cache.add(digest, large)
    assert [cache.find(digest) for digest in "ab"] == [None, large]
    cache.add("c", Refusal(message="x" * 1_600))
    assert [cache.find(digest) for digest in "abc"] == [None] * 3
    cache.add("d", REFUSAL)
    assert cache.find("d") is REFUSAL
