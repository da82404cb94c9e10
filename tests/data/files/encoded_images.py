"""Image files of every kind, and what Pillow shows of them."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112
HEIGHT, WIDTH = 20, 24


def noise(seed: int = 0, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8)


def smooth() -> np.ndarray:
    """For formats with loss: decoders differ less on it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns * 10, rows * 12, columns * 5 + 60], -1).astype(np.uint8)


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def turned(image: Image.Image, format_name: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, format_name, exif=exif, **options)


def png(
    pixels: np.ndarray,
    bit_depth: int,
    colour_type: int,
    *chunks: tuple[bytes, bytes],
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> bytes:
    """For kinds of PNG that Pillow does not write.

    Args:
        pixels: rows of bytes or, in 16 bits, of numbers.
        bit_depth: of a number.
        colour_type: 0 grey, 2 colours, 4 grey and opacity, 6 colours and opacity.
        *chunks: to come after the header.
        size: width and height in the header.
    """
    rows = b"".join(b"\0" + row.astype(">u2" if bit_depth == 16 else np.uint8).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *size, bit_depth, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in parts)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def without_adobe_mark(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xee")
    length = int.from_bytes(jpeg[start + 2 : start + 4], "big")
    return jpeg[:start] + jpeg[start + 2 + length :]


def run_length_bmp(palette: Image.Image) -> bytes:
    """A BMP in 8 bits whose rows are runs of equal pixels."""
    plain = encoded(palette, "BMP")
    offset = int.from_bytes(plain[10:14], "little")
    rows = np.asarray(palette)[::-1]
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in rows) + b"\0\1"
    header = bytearray(plain[:offset])
    header[2:6] = (offset + len(runs)).to_bytes(4, "little")
    header[30:34] = (1).to_bytes(4, "little")  # compression: run length in 8 bits
    header[34:38] = len(runs).to_bytes(4, "little")
    return bytes(header) + runs


def shown(data: bytes, channels: int) -> np.ndarray:
    """What a viewer shows on a white page, by Pillow."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    page = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(page, image.convert("RGBA")).convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


RGB = Image.fromarray(noise())
SMOOTH = Image.fromarray(smooth())
GREY = RGB.getchannel("R")
OPACITY = Image.fromarray(noise(1, 1)[..., 0])
RGBA = RGB.copy()
RGBA.putalpha(OPACITY)
OPAQUE = RGB.convert("RGBA")
GREY_ALPHA = Image.merge("LA", (GREY, OPACITY))
PALETTE = RGB.quantize(16)
NUMBERS_16 = noise(2, 1)[..., 0].astype(np.uint16) * 256 + noise(3, 1)[..., 0]
TWO_FRAMES: dict[str, object] = {"save_all": True, "append_images": [RGB.transpose(Image.Transpose.ROTATE_180)]}

# Name -> file, channels, what decodes it, and whether it is transparent.
KINDS: dict[str, tuple[Callable[[], bytes], int, str, bool]] = {
    "png": (lambda: encoded(RGB, "PNG"), 3, "KERNEL", False),
    "png grey": (lambda: encoded(GREY, "PNG"), 1, "KERNEL", False),
    "png 1 bit": (lambda: encoded(GREY.convert("1"), "PNG"), 1, "KERNEL", False),
    "png 4 bits": (lambda: png(noise(4, 1)[:, : WIDTH // 2, 0], 4, 0), 1, "KERNEL", False),
    "png palette": (lambda: encoded(PALETTE, "PNG"), 3, "KERNEL", False),
    "png palette, one transparent": (lambda: encoded(PALETTE, "PNG", transparency=3), 3, "KERNEL_ON_WHITE", True),
    "png palette, opacities": (lambda: encoded(RGBA.quantize(16), "PNG"), 3, "KERNEL_ON_WHITE", True),
    "png alpha": (lambda: encoded(RGBA, "PNG"), 3, "KERNEL_ON_WHITE", True),
    "png alpha, opaque": (lambda: encoded(OPAQUE, "PNG"), 3, "KERNEL", False),
    "png grey alpha": (lambda: encoded(GREY_ALPHA, "PNG"), 1, "KERNEL_ON_WHITE", True),
    "png one colour transparent": (
        lambda: encoded(RGB, "PNG", transparency=RGB.getpixel((0, 0))), 3, "KERNEL_ON_WHITE", True,
    ),
    "png one grey transparent": (
        lambda: encoded(GREY, "PNG", transparency=GREY.getpixel((0, 0))), 1, "KERNEL_ON_WHITE", True,
    ),
    "png 16 bits colours": (lambda: png(noise(5, 6).view(">u2"), 16, 2), 3, "KERNEL", False),
    "png 16 bits alpha": (lambda: png(noise(6, 8).view(">u2"), 16, 6), 3, "KERNEL_ON_WHITE", True),
    "png 16 bits grey alpha": (lambda: png(noise(7, 4).view(">u2"), 16, 4), 1, "KERNEL_ON_WHITE", True),
    "png animated": (lambda: encoded(RGB, "PNG", **TWO_FRAMES), 3, "KERNEL", False),
    "bmp": (lambda: encoded(RGB, "BMP"), 3, "KERNEL", False),
    "bmp 32 bits": (lambda: encoded(RGBA, "BMP"), 3, "KERNEL", False),
    "bmp grey": (lambda: encoded(GREY, "BMP"), 1, "PILLOW", False),
    "bmp palette": (lambda: encoded(PALETTE, "BMP"), 3, "PILLOW", False),
    "bmp run length": (lambda: run_length_bmp(PALETTE), 3, "PILLOW", False),
    "bmp 1 bit": (lambda: encoded(GREY.convert("1"), "BMP"), 1, "PILLOW", False),
    "bmp black, which ends with zeros": (lambda: encoded(Image.new("L", (WIDTH, HEIGHT)), "BMP"), 1, "PILLOW", False),
    "gif": (lambda: encoded(PALETTE, "GIF"), 3, "KERNEL", False),
    "gif animated": (lambda: encoded(PALETTE, "GIF", **TWO_FRAMES), 3, "KERNEL", False),
    "gif transparent": (lambda: encoded(PALETTE, "GIF", transparency=2), 3, "PILLOW", True),
    "webp": (lambda: encoded(SMOOTH, "WEBP"), 3, "KERNEL", False),
    "webp lossless": (lambda: encoded(RGB, "WEBP", lossless=True), 3, "KERNEL", False),
    "webp alpha": (lambda: encoded(RGBA, "WEBP"), 3, "KERNEL_ON_WHITE", True),
    "webp animated": (lambda: encoded(RGB, "WEBP", lossless=True, **TWO_FRAMES), 3, "PILLOW", False),
    "webp animated alpha": (lambda: encoded(RGBA, "WEBP", lossless=True, **TWO_FRAMES), 3, "PILLOW", True),
    "tiff": (lambda: encoded(RGB, "TIFF"), 3, "PILLOW", False),
    "tiff alpha": (lambda: encoded(RGBA, "TIFF"), 3, "PILLOW", True),
    "tiff cmyk": (lambda: encoded(RGB.convert("CMYK"), "TIFF"), 3, "PILLOW", False),
    "tiff grey": (lambda: encoded(GREY, "TIFF", compression="tiff_lzw"), 1, "PILLOW", False),
    "ppm": (lambda: encoded(RGB, "PPM"), 3, "PILLOW", False),
    "pgm": (lambda: encoded(GREY, "PPM"), 1, "PILLOW", False),
    "pbm": (lambda: encoded(GREY.convert("1"), "PPM"), 1, "PILLOW", False),
    "avif": (lambda: encoded(SMOOTH, "AVIF"), 3, "PILLOW", False),
    "avif alpha": (lambda: encoded(RGBA, "AVIF"), 3, "PILLOW", True),
    "jpeg": (lambda: encoded(SMOOTH, "JPEG"), 3, "KERNEL", False),
    "jpeg progressive": (lambda: encoded(SMOOTH, "JPEG", progressive=True), 3, "KERNEL", False),
    "jpeg of two pictures": (lambda: encoded(SMOOTH, "MPO", save_all=True, append_images=[RGB]), 3, "KERNEL", False),
    "jpeg grey": (lambda: encoded(SMOOTH.convert("L"), "JPEG"), 1, "KERNEL", False),
    "jpeg rgb": (lambda: encoded(SMOOTH, "JPEG", keep_rgb=True), 3, "KERNEL", False),
    "jpeg cmyk": (lambda: encoded(SMOOTH.convert("CMYK"), "JPEG", quality=95), 3, "KERNEL", False),
    "jpeg cmyk without a mark": (
        lambda: without_adobe_mark(encoded(SMOOTH.convert("CMYK"), "JPEG", quality=95)), 3, "PILLOW", False,
    ),
}  # fmt: skip
