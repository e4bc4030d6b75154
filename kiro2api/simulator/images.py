"""Rules for the images of a user message."""

import base64
import binascii
import re

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.members import read_list, read_object, read_string, read_union
from kiro2api.simulator.refusals import RefusedError, Rule

MAX_IMAGES = 10
"""Images in one message, as the service's model says."""
MAX_IMAGE_BYTES = 10_000_000
"""Decoded bytes of one image, as the service's model says."""
MAX_ENCODED_CHARS = 4 * -(-MAX_IMAGE_BYTES // 3)
"""Characters of base64 that hold :data:`MAX_IMAGE_BYTES`: longer text is not decoded at all."""

MAGIC = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
"""First bytes of each format that the service's model lists."""


def check_images(message: JSONObject) -> None:
    """The ``images`` of a user message are few, small, and what they say they are."""
    images = read_list(message, "images", Rule.IMAGE)
    if len(images) > MAX_IMAGES:
        raise RefusedError(Rule.IMAGE_COUNT)
    for image in images:
        _check_image(read_object(image, Rule.IMAGE))


def _check_image(image: JSONObject) -> None:
    form = read_string(image, "format", Rule.IMAGE_FORMAT)
    if form not in MAGIC:
        raise RefusedError(Rule.IMAGE_FORMAT)
    _, data = read_union(image.get("source"), {"bytes"}, Rule.IMAGE_SOURCE)
    if MAGIC[form].match(_decode(data)) is None:
        raise RefusedError(Rule.IMAGE_MAGIC)


def _decode(data: JSON) -> bytes:
    """The bytes of base64 text, between 1 and :data:`MAX_IMAGE_BYTES`."""
    if not isinstance(data, str):
        raise RefusedError(Rule.IMAGE_BASE64)
    if len(data) > MAX_ENCODED_CHARS:
        raise RefusedError(Rule.IMAGE_SIZE)
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(Rule.IMAGE_BASE64) from None
    if not content:
        raise RefusedError(Rule.IMAGE_EMPTY)
    if len(content) > MAX_IMAGE_BYTES:
        raise RefusedError(Rule.IMAGE_SIZE)
    return content
