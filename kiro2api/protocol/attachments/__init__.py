"""What a request carries by value beside its words: pictures, documents, files."""

from kiro2api.protocol.attachments.conversions import (
    NOTHING_CONVERTED,
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    Refusal,
    UnconvertedError,
)
from kiro2api.protocol.attachments.reader import AttachmentReader

__all__ = [
    "NOTHING_CONVERTED",
    "AttachmentReader",
    "Conversion",
    "ConversionKind",
    "Converted",
    "ConvertedImage",
    "PdfText",
    "Refusal",
    "UnconvertedError",
]
