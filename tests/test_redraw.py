"""Attached photos: what Avito takes is taken, all that a photo tells beside its pixels stays behind."""

import io
import random

import pillow_heif
import pytest
from PIL import Image

from golub.errors import Invalid
from golub.redraw import PIXELS, SIDE, redraw

pytestmark = pytest.mark.anyio


def photo(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **more: object) -> bytes:
    image = Image.new(mode, size, "red")
    image.paste("blue", (0, 0, size[0] // 2, size[1]))  # the left half
    out = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(out, **more)
    else:
        image.save(out, kind, **more)
    return out.getvalue()


def opened(raw: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(raw))
    image.load()
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "HEIF"])
async def test_each_kind_becomes_a_jpeg_with_a_small_one(kind: str) -> None:
    drawn = await redraw(photo(kind))
    assert (drawn.extension, opened(drawn.picture).format, opened(drawn.picture).size) == ("jpg", "JPEG", (60, 40))
    assert opened(drawn.small).format == "WEBP"


@pytest.mark.row(55)
async def test_it_stands_upright_and_tells_nothing_of_its_origin() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: to be seen rotated clockwise
    exif[0x010F] = "CameraMaker"
    exif.get_ifd(0x8825)[1] = "N"
    raw = photo("JPEG", exif=exif, comment=b"my street 5")
    drawn = await redraw(raw)
    upright = opened(drawn.picture)
    assert upright.size == (40, 60)
    red, _, blue = upright.convert("RGB").getpixel((20, 5))  # type: ignore[misc]
    assert blue > 200 > red  # what was on the left is on top
    assert dict(upright.getexif()) == {}
    for secret in (b"Exif", b"CameraMaker", b"my street"):
        assert secret in raw
        assert secret not in drawn.picture + drawn.small


async def test_transparency_is_kept() -> None:
    raw = io.BytesIO()
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(raw, "PNG")
    drawn = await redraw(raw.getvalue())
    assert (drawn.extension, opened(drawn.picture).mode) == ("png", "RGBA")


async def test_a_large_one_is_made_smaller() -> None:
    raw = photo("PNG", (8000, 9000))  # of all it needs the most memory, and the child has a limit
    drawn = await redraw(raw)
    assert max(opened(drawn.picture).size) == SIDE


@pytest.mark.row(9, 55)
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"<svg onload=alert(1)>", "something else"),
        (b"%PDF-1.4", "something else"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "something else"),
        (b"\xff\xd8\xff" + bytes(100), "damaged"),
        (photo("PNG")[:60], "damaged"),
        (photo("BMP", (10_001, 7_600), "1"), "megapixels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(24 << 20), "larger than"),
    ],
    ids=["svg", "pdf", "webp", "junk", "cut", "pixels", "bytes"],
)
async def test_what_avito_would_not_take_is_refused_in_words(raw: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        await redraw(raw)


@pytest.mark.row(9, 55)
async def test_damaged_files_never_do_worse_than_to_be_refused() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "HEIF"):
        raw = bytearray(photo(kind))
        for _ in range(8):
            raw[dice.randrange(12, len(raw))] = dice.randrange(256)
        try:
            drawn = await redraw(bytes(raw))
        except Invalid:
            continue
        assert opened(drawn.picture).width * opened(drawn.picture).height <= PIXELS
