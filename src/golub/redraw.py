"""Pictures that operators attach, drawn anew in a process of its own.

A picture comes from anywhere, and decoders have holes: the child has limits of memory and time, no secrets, and only
its pipes. What leaves it is a JPEG or PNG of our own making, upright, without a word about where and when it was
taken, and a small WebP of it for the page. The outbox relies on it.
"""

import asyncio
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from golub.errors import Invalid, Unavailable

LARGEST = 24 << 20  # bytes (uploadImages)
PIXELS = 75_000_000  # uploadImages
SIDE = 2560  # px; Avito itself shows 1280 at most
SMALL_SIDE = 480
SECONDS = 25.0
MEMORY = 1536 << 20  # bytes of address space: 75 megapixels with transparency are 300 MB, and some decoders hold two

_FORMATS = ("JPEG", "PNG", "GIF", "BMP")  # beside HEIC
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class Drawn:
    picture: bytes
    extension: str  # jpg or png
    small: bytes  # WebP


async def redraw(raw: bytes) -> Drawn:
    """Raises `Invalid`, in words, for what Avito would not take or nobody can read."""
    if len(raw) > LARGEST:
        raise Invalid("This photo is larger than {size} MB.", size=LARGEST >> 20)
    if not _is_picture(raw):
        raise Invalid("Avito takes photos as JPEG, PNG, GIF, BMP or HEIC. This file is something else.")
    known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "golub.redraw",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=known,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await child.communicate(raw)
    except TimeoutError:
        raise Invalid("This photo takes too long to read. Save it anew and attach that.") from None
    except OSError as error:
        raise Unavailable("The photo could not be prepared.") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    head, _, body = out.partition(b"\n")
    told: dict[str, Any] = json.loads(head) if head else {}
    if told.get("refused") == "pixels":
        raise Invalid("This photo has more than {count} megapixels.", count=PIXELS // 1_000_000)
    if child.returncode or "picture" not in told:
        raise Invalid("This photo is damaged, or takes too much memory to read.")
    return Drawn(body[: told["picture"]], told["extension"], body[told["picture"] :])


def _is_picture(raw: bytes) -> bool:
    """By what the file is, not by its name."""
    if raw.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")):
        return True
    return raw[4:8] == b"ftyp" and raw[8:12] in _HEIC_BRANDS


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    for name, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, int(SECONDS)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(name, (limit, limit))


def _draw(raw: bytes) -> tuple[bytes, str, bytes]:
    # Asked for a format that is not loaded, Pillow loads the decoders of all that it knows.
    from PIL import Image, ImageOps, WebPImagePlugin  # noqa: F401  # pyright: ignore[reportUnusedImport]

    formats = _FORMATS
    if raw[4:8] == b"ftyp":
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

        register_heif_opener(thumbnails=False)
        formats = ("HEIF",)
    Image.MAX_IMAGE_PIXELS = PIXELS * 2
    with Image.open(io.BytesIO(raw), formats=formats) as image:
        if image.width * image.height > PIXELS:
            raise OverflowError
        image.draft("RGB", (SIDE, SIDE))
        orientation = image.getexif().get(0x0112, 1)
        image.load()
        transparent = image.has_transparency_data
        drawn = image.convert("RGBA" if transparent else "RGB")
    drawn.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    drawn.getexif()[0x0112] = orientation
    drawn = ImageOps.exif_transpose(drawn)
    small = drawn.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    # A picture with nothing but pixels: whatever the file carried beside them stays behind.
    bare = Image.frombytes(drawn.mode, drawn.size, drawn.tobytes())
    picture = io.BytesIO()
    if transparent:
        bare.save(picture, "PNG", optimize=False)
    if not transparent or picture.tell() > LARGEST:
        white = Image.new("RGB", bare.size, "white")
        white.paste(bare, mask=bare.getchannel("A") if transparent else None)
        picture = io.BytesIO()
        white.save(picture, "JPEG", quality=90)
        transparent = False
    preview = io.BytesIO()
    Image.frombytes(small.mode, small.size, small.tobytes()).save(preview, "WEBP", quality=80)
    return picture.getvalue(), "png" if transparent else "jpg", preview.getvalue()


def _main() -> None:
    _limit()
    raw = sys.stdin.buffer.read(LARGEST + 1)
    try:
        picture, extension, small = _draw(raw)
    except OverflowError:
        told, body = {"refused": "pixels"}, b""
    else:
        told, body = {"picture": len(picture), "extension": extension}, picture + small
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
