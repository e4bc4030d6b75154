"""Pictures that fit."""

import base64
import random
from collections.abc import Callable

import pytest
from PIL import Image

from kiro2api.conversion import pictures
from kiro2api.conversion.pictures import reencode_picture
from kiro2api.protocol.images import MAX_IMAGE_BYTES, ImageFormat, tell_format
from tests.support.pictures import draw, load, save

SIDE = 100


def noise(mode: str, side: int = SIDE) -> Image.Image:
    """A picture that nothing makes smaller without loss."""
    chance = random.Random(1)  # noqa: S311  no secrets
    return Image.frombytes(mode, (side, side), chance.randbytes(side * side * len(mode)))


def reencode(data: bytes, max_bytes: int = MAX_IMAGE_BYTES) -> tuple[ImageFormat, Image.Image]:
    """The picture that comes out, and its format, which is that of its bytes."""
    converted = reencode_picture(data, max_bytes=max_bytes)
    encoded = base64.b64decode(converted.data)
    assert len(encoded) <= max_bytes
    assert tell_format(encoded) is converted.format
    return converted.format, load(encoded)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp_becomes_png_without_loss(mode: str) -> None:
    """In all that BMP can have."""
    original = noise("RGB").convert(mode)
    image_format, picture = reencode(save(original, "BMP"))
    assert image_format is ImageFormat.PNG
    assert picture.convert("RGB").tobytes() == original.convert("RGB").tobytes()


@pytest.mark.parametrize("compression", [0, 9])
def test_without_loss_if_that_fits(compression: int) -> None:
    """A picture that was merely written at length loses nothing."""
    original = draw("PNG", (SIDE, SIDE), mode="RGBA", compress_level=compression)
    image_format, picture = reencode(original, max_bytes=1_000)
    assert (image_format, picture.tobytes()) == (ImageFormat.PNG, load(original).tobytes())


@pytest.mark.parametrize(
    "original",
    [
        save(noise("RGB"), "PNG"),
        save(noise("RGB"), "BMP"),
        save(noise("RGB"), "JPEG", quality=100),
        save(noise("RGB"), "WEBP", lossless=True),
        save(noise("L"), "PNG"),
        save(noise("CMYK"), "JPEG", quality=100, icc_profile=b"inks"),
        save(noise("RGB").convert("P"), "GIF"),
        save(Image.merge("RGBA", [*noise("RGB").split(), Image.new("L", (SIDE, SIDE), 255)]), "PNG"),
    ],
)
def test_with_loss_if_it_must_be(original: bytes) -> None:
    """As JPEG, which has three colours and nothing of another meaning."""
    image_format, picture = reencode(original, max_bytes=8_200)
    assert (image_format, picture.size, picture.mode) == (ImageFormat.JPEG, (SIDE, SIDE), "RGB")
    assert "icc_profile" not in picture.info


@pytest.mark.parametrize(
    ("original", "max_bytes"),
    [
        (save(noise("RGBA"), "PNG"), 18_000),
        (save(noise("RGBA"), "WEBP", lossless=True), 18_000),
        (save(noise("LA"), "PNG"), 18_000),
        (save(noise("RGB").convert("P"), "PNG", transparency=noise("RGB").convert("P").getpixel((0, 0))), 9_500),
    ],
)
def test_what_shines_through_stays_so(original: bytes, max_bytes: int) -> None:
    """As WebP, which can have that at falling quality."""
    image_format, picture = reencode(original, max_bytes=max_bytes)
    assert (image_format, picture.size) == (ImageFormat.WEBP, (SIDE, SIDE))
    expected = load(original).convert("RGBA").getchannel("A").tobytes()
    assert picture.getchannel("A").tobytes() == expected


def test_smaller_if_it_must_be() -> None:
    """Half the width and height, and again."""
    _, picture = reencode(save(noise("RGB"), "PNG"), max_bytes=1_400)
    assert picture.size == (25, 25)


def test_quality_falls_as_far_as_it_must() -> None:
    """What fits at a better one is not made worse."""
    original = save(noise("RGB"), "PNG")
    sizes = [
        len(base64.b64decode(reencode_picture(original, max_bytes=limit).data)) for limit in (11_000, 8_000, 6_500)
    ]
    assert sizes == sorted(set(sizes), reverse=True)
    assert reencode(original, max_bytes=sizes[-1])[1].size == (SIDE, SIDE)


def test_shades_of_grey_in_sixteen_bits_keep_their_brightness() -> None:
    """They are scaled, not cut."""
    shades = Image.frombytes("I;16", (SIDE, SIDE), random.Random(1).randbytes(SIDE * SIDE * 2))  # noqa: S311
    _, picture = reencode(save(shades, "PNG"), max_bytes=9_000)
    [average] = picture.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes()
    assert 110 < average < 145


def test_a_picture_stands_as_the_camera_was_held() -> None:
    """What was noted in its EXIF data is applied, as nobody reads it behind us."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    original = save(Image.new("RGB", (40, 20)), "JPEG", exif=exif)
    _, picture = reencode(original)
    assert (picture.size, dict(picture.getexif())) == ((20, 40), {})


def test_colours_mean_the_same() -> None:
    """The profile goes along."""
    _, picture = reencode(save(noise("RGB"), "PNG", icc_profile=b"colours"), max_bytes=9_000)
    assert picture.info["icc_profile"] == b"colours"


def test_of_a_moving_picture_the_first_frame_counts() -> None:
    """The upstream's model sees no more of one either."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    _, picture = reencode(save(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_what_is_longer_than_webp_can_be_is_made_smaller() -> None:
    """Though the number of its pixels is not too many."""
    long = noise("RGBA").resize((40_000, 2))
    image_format, picture = reencode(save(long, "PNG"), max_bytes=5_000)
    assert (image_format, picture.size) == (ImageFormat.WEBP, (10_000, 1))


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("spoil", [_cut, lambda data: data[:30], lambda data: b"\0" + data])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_damaged_picture_is_found_out(name: str, spoil: Callable[[bytes], bytes]) -> None:
    """Half of one is not passed on as a whole."""
    with pytest.raises(Exception, match=r"."):
        reencode_picture(spoil(save(noise("RGB"), name)))


@pytest.mark.parametrize("name", ["TIFF", "PPM", "ICO"])
def test_no_other_decoder_is_used(name: str) -> None:
    """What has not been let in here is not decoded, whoever asks."""
    with pytest.raises(OSError, match="cannot identify"):
        reencode_picture(draw(name, (32, 32)))


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is enough."""
    monkeypatch.setattr(pictures, "MAX_PIXELS", 8)
    assert reencode_picture(draw("BMP", (4, 2))).format is ImageFormat.PNG
    with pytest.raises(ValueError, match="too many pixels"):
        reencode_picture(draw("BMP", (3, 3)))
