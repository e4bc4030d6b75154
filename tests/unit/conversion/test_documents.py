"""The words of documents."""

import pytest
from pypdf import PageObject

from kiro2api.conversion import documents
from kiro2api.conversion.documents import ENCRYPTED, extract_text
from kiro2api.protocol.attachments import PdfText, Refusal
from tests.support.documents import encrypt_pdf, write_pdf


def test_each_page_has_its_words() -> None:
    """In order; one without any has an empty text."""
    assert extract_text(write_pdf("one", "", "grüß")) == PdfText(pages=("one", "", "grüß"))


def test_a_document_that_everybody_may_open_is_read() -> None:
    """Encrypted or not."""
    assert extract_text(encrypt_pdf(write_pdf("one"), user_password="")) == PdfText(pages=("one",))


def test_a_document_with_a_password_is_refused() -> None:
    """The client is told why."""
    assert extract_text(encrypt_pdf(write_pdf("one"), user_password="secret")) == Refusal(message=ENCRYPTED)


def test_a_damaged_page_does_not_spoil_the_others() -> None:
    """It is told apart from one without words."""
    damaged = write_pdf("one", "two").replace(b"(two)", b"(two ")
    assert extract_text(damaged) == PdfText(pages=("one", None))


def test_pages_and_characters_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """More fit into no model; the client is told the number and what to do."""
    monkeypatch.setattr(documents, "MAX_PAGES", 3)
    monkeypatch.setattr(documents, "MAX_TEXT_CHARS", 6)
    assert extract_text(write_pdf("one", "two", "")) == PdfText(pages=("one", "two", ""))
    many = Refusal(message="the PDF has 4 pages; at most 3 are possible. Send a part of it.")
    assert extract_text(write_pdf("one", "two", "", "")) == many
    long = Refusal(message="the PDF has more than 6 characters of text. Send a part of it.")
    assert extract_text(write_pdf("one", "four")) == long


def test_text_is_text() -> None:
    """Zeros go, halves of characters are put together or replaced: faulty tables of a document bring them about."""
    assert documents._clean("a\0b\ud83d\ude00c\ud83dd") == "ab\N{GRINNING FACE}c\N{REPLACEMENT CHARACTER}d"


def test_memory_that_runs_out_is_not_the_fault_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document as a whole is too much then."""

    def run_out(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr(PageObject, "extract_text", run_out)
    with pytest.raises(MemoryError):
        extract_text(write_pdf("one"))


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"%PDF-1.7 \xff\xfe junk", write_pdf("one")[:200]])
def test_what_is_no_document_is_found_out(data: bytes) -> None:
    """By whatever error."""
    with pytest.raises(Exception, match=r"."):
        extract_text(data)
