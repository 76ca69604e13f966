"""Pictures and voices that exist nowhere else: drawn and synthesised from their names, the same every time."""

import io
import math
import struct
import wave
from functools import lru_cache
from random import Random

from PIL import Image, ImageOps, UnidentifiedImageError

from golub.simulator.drawing import draw

FORMATS = ("JPEG", "GIF", "BMP", "PNG")  # uploadImages; HEIC is told by its brand, Pillow cannot open it
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
RATE = 8000  # samples a second of a voice


def refusal(raw: bytes, pixels: int) -> str:
    """Why Avito would not take this file, or nothing."""
    if raw[4:8] == b"ftyp" and raw[8:12] in HEIC_BRANDS:
        return ""
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return "must be a JPEG, HEIC, GIF, BMP or PNG image"
    return "" if width * height <= pixels else f"must be at most {pixels // 1_000_000} megapixels"


@lru_cache(maxsize=512)
def picture(name: str, size: str, upload: bytes | None) -> bytes | None:
    """A JPEG of `size` ("640x480"); None for a size that nobody asks for."""
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and 0 < int(width) <= 1280 and 0 < int(height) <= 1280):
        return None
    box = (int(width), int(height))
    image = draw(name, box) if upload is None else _uploaded(upload, box)
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


@lru_cache(maxsize=64)
def speech(name: str) -> bytes:
    """Two to six seconds of something that hums like a voice, as WAV. (Avito's are opus in mp4.)"""
    rng = Random(name)
    samples: list[int] = []
    for _ in range(rng.randint(8, 22)):  # syllables
        pitch, length = rng.uniform(110, 190), rng.randint(1400, 2600)
        for n in range(length):
            envelope = math.sin(math.pi * n / length) ** 2
            wobble = pitch * (1 + 0.03 * math.sin(n / 300))
            tone = sum(math.sin(2 * math.pi * wobble * k * n / RATE) / k for k in (1, 2, 3, 5))
            samples.append(int(7000 * envelope * tone / 2))
        samples += [0] * rng.randint(100, 900)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return out.getvalue()


def _uploaded(raw: bytes, box: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            return ImageOps.contain(image.convert("RGB"), box)
    except (OSError, ValueError, Image.DecompressionBombError):
        return draw("photo.heic", box)
