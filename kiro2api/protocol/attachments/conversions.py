"""What has to be converted before the upstream can take it, and what comes of that.

Parsing is pure and converting is not: it needs a process of its own. Who parses is therefore given what has been
converted, and raises what is missing.
"""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import msgspec

from kiro2api.protocol.images import ImageFormat


class ConversionKind(enum.Enum):
    """What is made of what."""

    IMAGE = "image"
    """A picture that the upstream takes, of one that it does not."""
    PDF = "pdf"
    """Text, of a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Something to convert."""

    kind: ConversionKind
    digits: str = field(repr=False)
    """Standard base64 with padding, without white space."""
    digest: str
    """Of all the rest: where this is equal, so is the result."""

    @classmethod
    def of(cls, kind: ConversionKind, digits: str) -> Self:
        digest = hashlib.sha256(kind.value.encode())
        digest.update(digits.encode())
        return cls(kind=kind, digits=digits, digest=digest.hexdigest())


class ConvertedImage(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """A picture that the upstream takes."""

    format: ImageFormat
    data: str
    """Standard base64 with padding."""


class PdfText(msgspec.Struct, frozen=True, kw_only=True, tag="pdf"):
    """The words of a document."""

    pages: tuple[str | None, ...]
    """One for each page: empty where there are no words, ``None`` where they cannot be read."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """It cannot be converted."""

    message: str
    """Why, for the person at the client."""


type Converted = ConvertedImage | PdfText | Refusal

NOTHING_CONVERTED: Mapping[str, Converted] = MappingProxyType({})


class UnconvertedError(Exception):
    """The request is good as far as it can be told, and cannot be read further before something is converted.

    No fault of anybody's, and so none of the errors that a client may see.
    """

    def __init__(self, conversions: tuple[Conversion, ...]) -> None:
        super().__init__(f"{len(conversions)} to convert")
        self.conversions = conversions
        """Each digest once."""
