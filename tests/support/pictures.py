"""Pictures for tests."""

import base64
import io

from PIL import Image


def encode(data: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(data).decode()


def draw(name: str, size: tuple[int, int] = (4, 2), *, mode: str = "RGB", **options: object) -> bytes:
    """A picture in Pillow's format of that name; one colour everywhere."""
    return save(Image.new(mode, size), name, **options)


def save(picture: Image.Image, name: str, **options: object) -> bytes:
    """The file that holds ``picture``."""
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def load(data: bytes) -> Image.Image:
    """The picture in a file, decoded."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def write_run_length_bmp(width: int, height: int, *, rows: int) -> bytes:
    """A BMP of one colour in run-length code, some hundred pixels to a byte, that breaks off after some ``rows``."""
    runs, rest = divmod(width, 255)
    row = b"\xff\0" * runs + bytes([rest, 0]) + b"\0\0"
    pixels = row * rows + b"\0\1"
    palette = bytes(4 * 256)
    start = 54 + len(palette)
    fields = (start + len(pixels), 0, start, 40, width, height, 1 | 8 << 16, 1, len(pixels), 0, 0, 256, 0)
    return b"BM" + b"".join(field.to_bytes(4, "little") for field in fields) + palette + pixels
