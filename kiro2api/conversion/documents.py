"""The words of a PDF, page by page; run as a program, the process that reads them."""

import io
from typing import Final

from pypdf import PageObject, PasswordType, PdfReader

from kiro2api.conversion.worker import serve
from kiro2api.protocol.attachments import PdfText, Refusal

MAX_PAGES: Final = 1_000
"""At some 700 words each, they fill the largest context that any model has, a million of its tokens."""
MAX_TEXT_CHARS: Final = 4_000_000
"""The same context, at the usual four characters for each of its tokens."""
DAMAGED: Final = "the PDF cannot be read: it is damaged."
ENCRYPTED: Final = "the PDF is encrypted; send it without a password."


def extract_text(data: bytes) -> PdfText | Refusal:
    """The words on the pages of the PDF in ``data``.

    Raises:
        Exception: It is damaged, or is none: whatever pypdf raises then.
    """
    reader = PdfReader(io.BytesIO(data))
    # Most encrypted documents open for everybody, and forbid no more than to print them.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        return Refusal(message=ENCRYPTED)
    count = len(reader.pages)
    if count > MAX_PAGES:
        return Refusal(message=f"the PDF has {count} pages; at most {MAX_PAGES} are possible. Send a part of it.")
    pages: list[str | None] = []
    room = MAX_TEXT_CHARS
    for page in reader.pages:
        words = _read_page(page)
        room -= len(words or "")
        if room < 0:
            return Refusal(message=f"the PDF has more than {MAX_TEXT_CHARS} characters of text. Send a part of it.")
        pages.append(words)
    return PdfText(pages=tuple(pages))


def _read_page(page: PageObject) -> str | None:
    """The words; ``None`` if the page is damaged, of which the others need not suffer."""
    try:
        words = page.extract_text()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged pages make the library raise whatever its code happens to
        return None
    return _clean(words).strip()


def _clean(words: str) -> str:
    """The words without what is no character: faulty tables of a document bring it about."""
    whole = words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "")


if __name__ == "__main__":
    serve(extract_text, damaged=DAMAGED)
