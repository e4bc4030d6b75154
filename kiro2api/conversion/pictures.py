"""Pictures that the upstream does not take, as pictures that it takes; run as a program, the process that does it.

What has lost nothing so far stays without loss if it fits. Else it is written as JPEG, or as WebP if something shines
through, at falling quality, and then at half the width and height, until it fits. Of a moving picture the first frame
counts. It stands as a viewer would show it: what the camera noted about its position is applied.
"""

import base64
import io
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageOps

from kiro2api.conversion.worker import serve
from kiro2api.protocol.attachments import ConvertedImage
from kiro2api.protocol.images import MAX_IMAGE_BYTES, MAX_PIXELS, ImageFormat

DAMAGED: Final = "the image cannot be decoded: it is damaged."
QUALITIES: Final = (90, 75, 60)
"""Of JPEG and WebP: from hardly to be told from the original to still good to read."""
MAX_SIDE: Final = 16_383
"""Pixels that WebP can count."""

_READABLE: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_LOSSLESS: Final = frozenset({"PNG", "GIF", "BMP"})
_DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Shades of grey in 16 bits."""


def reencode_picture(data: bytes, *, max_bytes: int = MAX_IMAGE_BYTES) -> ConvertedImage:
    """The picture in ``data`` as one of at most ``max_bytes``.

    Raises:
        Exception: It is damaged, or is none: whatever Pillow raises then.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and nothing is decoded before it
    with Image.open(io.BytesIO(data), formats=_READABLE) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        is_lossless = picture.format in _LOSSLESS
        ImageOps.exif_transpose(picture, in_place=True)
        attempts = _encode(picture, is_lossless=is_lossless)
        return next(
            ConvertedImage(format=image_format, data=base64.b64encode(encoded).decode())
            for image_format, encoded in attempts
            if len(encoded) <= max_bytes
        )


def _encode(picture: Image.Image, *, is_lossless: bool) -> Iterator[tuple[ImageFormat, bytes]]:
    """The picture in ever fewer bytes, without an end."""
    if is_lossless:
        yield ImageFormat.PNG, _save(picture, "PNG")
    plain = _simplify(picture)
    while True:
        if max(plain.size) <= MAX_SIDE:
            image_format = ImageFormat.JPEG if plain.mode == "RGB" else ImageFormat.WEBP
            for quality in QUALITIES:
                yield image_format, _save(plain, image_format.name, quality=quality)
        plain = plain.reduce(2)


def _save(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options, icc_profile=picture.info.get("icc_profile"))
    return file.getvalue()


def _simplify(picture: Image.Image) -> Image.Image:
    """The picture with three bytes for each pixel, or with four if something shines through."""
    if picture.mode in _DEEP_MODES:
        picture = picture.convert("I").point(lambda shade: shade / 256).convert("L")
    if picture.mode == "CMYK":
        picture.info.pop("icc_profile", None)  # it is about inks
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            return picture
    return picture.convert("RGB")


if __name__ == "__main__":
    serve(reencode_picture, damaged=DAMAGED)
