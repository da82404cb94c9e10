"""Files that a served model decodes have the pixels that a run reads, which are those that viewers show."""

import io
import struct
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files import encoded_images as files
from tests.data.files.encoded_images import KINDS
from tfdl.data.files.image_rules import image_rules
from tfdl.data.files.jpeg_orientation import jpeg_orientation
from tfdl.data.files.png_transparency import png_has_opacity
from tfdl.data.files.served_images import check_files, served_image
from tfdl.data.images import CURRENT_RULES, FIRST_RULES

SMOOTH = files.SMOOTH
# Kinds that TensorFlow's kernel reads right.
SERVED = [name for name, (_, _, way, _) in KINDS.items() if name.startswith(("jpeg", "png")) and way != "PILLOW"]


@pytest.fixture(scope="module")
def decode():
    """``decode(channels, rules)(data)`` in a graph, as in a SavedModel."""

    def make(channels, rules=CURRENT_RULES):
        function = partial(served_image, channels=channels, rules=rules)
        return tf.function(function, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)

    return make


@pytest.mark.parametrize("rules", [FIRST_RULES, CURRENT_RULES])
@pytest.mark.parametrize("name", SERVED)
def test_pixels_are_those_that_a_run_reads(decode, name, rules):
    make, channels, _, _ = KINDS[name]
    np.testing.assert_array_equal(decode(channels, rules)(make()), image_rules(rules).read(make(), channels))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"icc_profile": bytes(3000)}, {"comment": b"a note"}])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_pillow_turns_it(decode, orientation, options):
    data = files.turned(SMOOTH, "JPEG", orientation, **options)
    assert int(jpeg_orientation(data)) == orientation
    found = decode(3)(data)
    assert found.shape == ((files.WIDTH, files.HEIGHT, 3) if orientation >= 5 else (files.HEIGHT, files.WIDTH, 3))
    np.testing.assert_array_equal(found, image_rules(CURRENT_RULES).read(data, 3))


def with_exif(exif):
    """A JPEG whose first segment is this EXIF structure."""
    data = files.encoded(SMOOTH, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    return data[:2] + segment + data[2:]


def directory(order, *fields, count=1):
    """An EXIF structure in a byte order; each field is a tag, a type and the four bytes of its value."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    rows = [struct.pack(f"{order}HHI", tag, kind, count) + value for tag, kind, value in fields]
    return head + struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("kind", "code"), [(3, "H"), (4, "I"), (8, "h"), (9, "i")])
def test_each_order_and_type_of_numbers(order, kind, code):
    value = struct.pack(f"{order}{code}", 8).ljust(4, b"\0")
    width = (0x0100, 4, struct.pack(f"{order}I", 3))
    data = with_exif(directory(order, width, (files.ORIENTATION, kind, value)))
    assert Image.open(io.BytesIO(data)).getexif()[files.ORIENTATION] == 8
    assert int(jpeg_orientation(data)) == 8


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"MM\0*\0\0\xff\xff damaged",
        b"MM\0*\xff\xff\xff\xff",  # a directory beyond 2^31
        b"II*\0\x08\0\0\0\xff\xff",  # more fields than there are bytes
        directory("<", (files.ORIENTATION, 3, struct.pack("<H", 9).ljust(4, b"\0"))),
        directory("<", (files.ORIENTATION, 3, bytes(4))),
        directory(">", (0x0100, 3, struct.pack(">H", 6).ljust(4, b"\0"))),
        directory(">", (files.ORIENTATION, 3, struct.pack(">H", 6).ljust(4, b"\0")), count=0),
        directory(">", (files.ORIENTATION, 2, b"\6\0\0\0")),
        b"XX" + directory(">", (files.ORIENTATION, 3, b"\0\6\0\0"))[2:],
        b"MM\0\x2b" + directory(">", (files.ORIENTATION, 3, b"\0\6\0\0"))[4:],
        directory("<", (files.ORIENTATION, 3, struct.pack("<H", 6).ljust(4, b"\0")))[:-9],  # cut off
    ],
    ids=range(12),
)
def test_damaged_or_other_exif_is_upright(exif):
    assert int(jpeg_orientation(with_exif(exif))) == 1


@pytest.mark.parametrize(
    "data", [b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8\xff\xe1\0\0", b""]
)
def test_a_file_that_ends_early_is_upright(data):
    assert int(jpeg_orientation(data)) == 1


@pytest.mark.parametrize("numbers", [(3, 6), (6, 9), (6, 3)])
def test_the_first_of_several_fields_counts_as_for_pillow(numbers):
    exif = directory(">", *((files.ORIENTATION, 3, struct.pack(">H", number) + bytes(2)) for number in numbers))
    data = with_exif(exif)
    shown = Image.open(io.BytesIO(data)).getexif()[files.ORIENTATION]
    assert int(jpeg_orientation(data)) == numbers[0] == shown


def test_an_empty_structure_before_the_real_one():
    data = files.turned(SMOOTH, "JPEG", 6)
    assert int(jpeg_orientation(data[:2] + b"\xff\xe1\0\x08Exif\0\0" + data[2:])) == 6


def test_a_search_through_many_parts_is_given_up():
    """A file of a few kilobytes must not keep a server busy."""
    orientation = tf.function(jpeg_orientation)
    has_opacity = tf.function(png_has_opacity)
    jpeg = files.turned(SMOOTH, "JPEG", 6)
    assert int(orientation(tf.constant(jpeg[:2] + b"\xff" * 5000 + jpeg[2:]))) == 1
    png = files.png(files.noise(1, 4).reshape(files.HEIGHT, -1), 8, 6, *[(b"teXt", b"")] * 3000)
    assert bool(has_opacity(tf.constant(png)))  # its header says so
    palette = files.encoded(SMOOTH.quantize(20), "PNG", transparency=3)
    many = files.png_chunk(b"teXt", b"") * 3000
    assert not bool(has_opacity(tf.constant(palette[:33] + many + palette[33:])))


@pytest.mark.parametrize("name", ["jpeg of inks", "jpeg", "png alpha"])
def test_colours_for_a_model_of_grey_images(decode, name):
    make = {"jpeg of inks": lambda: files.encoded(SMOOTH.convert("CMYK"), "JPEG"),
            "jpeg": lambda: files.encoded(SMOOTH, "JPEG"),
            "png alpha": lambda: files.encoded(Image.fromarray(files.noise(1, 4)), "PNG")}[name]  # fmt: skip
    colours = Image.fromarray(image_rules(CURRENT_RULES).read(make(), 3))
    expected = np.asarray(colours.convert("L"))[..., np.newaxis].astype(int)
    assert np.abs(decode(1)(make()).numpy() - expected).max() <= 1


def test_bytes_before_a_mark():
    data = files.turned(SMOOTH, "JPEG", 6)
    assert int(jpeg_orientation(data[:2] + b"\xff\xff" + data[2:])) == 6


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", False),
        (b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR", False),
        (b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR", False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0tRNS", True),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0IDAT\0\0\0\0\0\0\0\0tRNS", False),
    ],
)
def test_the_search_for_opacity_ends(data, expected):
    assert bool(png_has_opacity(data)) is expected


def test_colours_become_shades_of_grey(decode):
    data = files.encoded(SMOOTH, "PNG")
    expected = np.asarray(SMOOTH.convert("L"))[..., np.newaxis]
    assert np.abs(decode(1)(data).numpy().astype(int) - expected).max() <= 1
    level = files.png(np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, -1), 8, 2, size=(256, 1))
    assert decode(1)(level).numpy().ravel().tolist() == list(range(256))


def test_other_files_are_an_error_with_their_numbers():
    good = files.encoded(SMOOTH, "PNG")
    check = tf.function(check_files, input_signature=[tf.TensorSpec([None], tf.string)])
    assert check([good, good]).shape == (2,)
    assert check(tf.zeros([0], tf.string)).shape == (0,)
    message = r"not JPEG or PNG files, by their numbers from 0:.*\[0 2 3 4\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        check([b"", good, b"no image", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"])
