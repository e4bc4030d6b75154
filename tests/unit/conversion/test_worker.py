"""What a converting process makes of what happens in it."""

import pytest

from kiro2api.conversion.worker import NO_MEMORY, convert_safely
from kiro2api.protocol.attachments import Converted, PdfText, Refusal


@pytest.mark.parametrize(
    ("error", "message"),
    [(MemoryError(), NO_MEMORY), (OSError(), "damaged"), (RecursionError(), "damaged"), (SyntaxError(), "damaged")],
)
def test_whatever_is_raised_is_a_refusal(error: Exception, message: str) -> None:
    """Libraries raise what their code happens to; memory that runs out is told as that."""

    def fail(_: bytes) -> Converted:
        raise error

    assert convert_safely(fail, b"", damaged="damaged") == Refusal(message=message)


def test_a_result_is_passed_on() -> None:
    """As it is."""
    result = convert_safely(lambda data: PdfText(pages=(data.decode(),)), b"words", damaged="damaged")
    assert result == PdfText(pages=("words",))
