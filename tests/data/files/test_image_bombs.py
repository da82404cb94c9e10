"""Images of some kilobytes that would become gigabytes of pixels."""

import io
import struct
import threading
import zlib
from functools import partial

import pytest
from PIL import Image

from tests.data.files.encoded_images import png_chunk
from tfdl.data.files import image_rules, pillow_images
from tfdl.data.files.image_check import look_at
from tfdl.data.files.image_description import look_at_content
from tfdl.data.images import CURRENT_RULES, FIRST_RULES


def claiming(width, height):
    """A PNG whose header has this size, and that has one row of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * (1 + 3 * min(width, 1000)))
    return pillow_images.PNG + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def black(width, height, kind, mode="L"):
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, kind)
    return file.getvalue()


BOMBS = {
    "beyond Pillow's limit": claiming(60_000, 60_000),
    "beyond any limit": claiming(2**31 - 1, 2**31 - 1),
    "square": claiming(8193, 8192),
    "line": claiming(2**26 + 1, 1),
    "gif": black(8193, 8192, "GIF", "P"),
    "webp": black(16_383, 4097, "WEBP", "RGB"),
    "bmp": black(8193, 8192, "BMP", "1"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("rules", [CURRENT_RULES, FIRST_RULES])
def test_they_are_refused_by_their_headers(name, rules, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr("tensorflow.io.decode_image", lambda *_, **__: pytest.fail("decoded"))
    data = BOMBS[name]
    chosen = image_rules.image_rules(rules)
    for read in (chosen.look, partial(chosen.read, channels=3)):
        with pytest.raises(pillow_images.TooManyPixelsError):
            read(data)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    (seen,) = look_at([path], tmp_path / "memory.json", image_rules.image_rules(rules))
    assert seen.error.startswith("not an image that can be read (")
    assert look_at_content(data).error.startswith("not an image that can be read (")


def test_the_message_has_the_size():
    with pytest.raises(ValueError, match=r"^8193x8192 pixels, expected at most 67,108,864 in all$"):
        pillow_images.open_image(BOMBS["square"])


def test_an_image_of_as_many_pixels_is_opened():
    """The control."""
    assert pillow_images.open_image(claiming(8192, 8192)).size == (8192, 8192)


def test_large_images_are_decoded_one_after_the_other(monkeypatch):
    monkeypatch.setattr(pillow_images, "_LARGE_PIXELS", 50)
    large = pillow_images.open_image(black(8, 8, "PNG"))
    small = pillow_images.open_image(black(7, 7, "PNG"))
    entered = threading.Event()

    def enter(image):
        with pillow_images.one_large_at_a_time(image):
            entered.set()

    with pillow_images.one_large_at_a_time(large):
        waiting = threading.Thread(target=enter, args=(large,))
        waiting.start()
        assert not entered.wait(0.2)
        with pillow_images.one_large_at_a_time(small):
            pass
    waiting.join(10)
    assert entered.is_set()
