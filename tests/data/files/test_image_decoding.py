"""Every kind of image file is read as Pillow shows it, by the check and by the reader alike."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, features

from tests.data.files import encoded_images as files
from tests.data.files.encoded_images import KINDS, encoded, shown
from tfdl.config import DatasetConfig
from tfdl.data import evaluation_batches, open_images
from tfdl.data.files.encoded_images import EncodedImages, ImageFiles
from tfdl.data.files.image_check import decode
from tfdl.data.files.image_decoding import Kind, Way, on_white
from tfdl.data.files.image_rules import look_as_shown
from tfdl.data.images import resize

# Decoders of JPEG round differently; those of all other formats give the same numbers.
TOLERANCE_JPEG = 4


def kinds() -> list:
    has_avif = "AVIF" in Image.registered_extensions().values() and features.check("avif")
    return [name for name in KINDS if has_avif or not name.startswith("avif")]


def read_in_graph(paths, found, channels, size=None):
    """The images as a run reads them: by the pipeline, from disk."""
    shape = (*(size or found[0].shape[:2]), channels)
    source = EncodedImages(ImageFiles(paths), [each.kind for each in found], [0] * len(paths), shape, size)
    batches = evaluation_batches(source, batch_size=len(paths))
    return next(iter(batches))["image"].numpy()


def same(read, expected, tolerance):
    read = np.asarray(read)
    assert read.dtype == np.uint8
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", kinds())
def test_every_kind_is_read_as_pillow_shows_it(tmp_path, name):
    make, channels, way, is_transparent = KINDS[name]
    data = make()
    tolerance = TOLERANCE_JPEG if name.startswith("jpeg") else 0
    found = look_as_shown(data)
    assert found.kind == Kind(Way[way], 1)
    assert found.shape == (files.HEIGHT, files.WIDTH, channels)
    assert found.is_transparent == is_transparent
    (tmp_path / "file").write_bytes(data)
    same(decode(tf.constant(data), channels), shown(data, channels), tolerance)
    same(read_in_graph([tmp_path / "file"], [found], channels)[0], shown(data, channels), tolerance)
    # A grey image in a set with colours.
    same(read_in_graph([tmp_path / "file"], [found], 3)[0], shown(data, 3), tolerance)


@pytest.mark.parametrize(
    "data",
    [
        files.png(files.NUMBERS_16, 16, 0),
        encoded(Image.fromarray(files.NUMBERS_16), "TIFF"),
        encoded(Image.fromarray(files.NUMBERS_16), "PPM"),
    ],
    ids=["png", "tiff", "pgm"],
)
def test_sixteen_bits_of_grey_are_read_by_their_high_byte(data):
    assert look_as_shown(data).shape == (files.HEIGHT, files.WIDTH, 1)
    np.testing.assert_array_equal(decode(tf.constant(data), 1)[..., 0], files.NUMBERS_16 >> 8)


@pytest.mark.parametrize("bit_depth", [2, 16])
def test_a_grey_that_is_transparent_by_png_s_own_rule(bit_depth):
    # Pillow compares the number in the file with the converted pixel here, and finds none.
    grey = np.full((files.HEIGHT, files.WIDTH), 0x1234) if bit_depth == 16 else np.full((files.HEIGHT, 6), 0b01010101)
    number = 0x1234 if bit_depth == 16 else 1
    data = files.png(grey, bit_depth, 0, (b"tRNS", number.to_bytes(2, "big")))
    assert look_as_shown(data).is_transparent
    assert np.min(decode(tf.constant(data), 1)) == 255


def test_putting_on_white_is_exact():
    colour, opacity = np.meshgrid(np.arange(256), np.arange(256))
    image = np.stack([colour, colour, 255 - colour, opacity], -1).astype(np.uint8)
    expected = Image.alpha_composite(Image.new("RGBA", (256, 256), "white"), Image.fromarray(image)).convert("RGB")
    np.testing.assert_array_equal(on_white(tf.constant(image)), expected)


@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {}), ("PNG", {"pnginfo": None})],
    ids=["jpeg", "png", "webp", "tiff", "avif", "palette png"],
)
def test_orientation_is_applied(tmp_path, format_name, options):
    if format_name == "AVIF" and "avif" not in kinds():
        pytest.skip("this Pillow was built without AVIF")
    stored = files.SMOOTH if format_name == "JPEG" else files.RGB
    if "pnginfo" in options:
        stored = files.PALETTE
    for orientation in range(1, 9):
        data = files.turned(stored, format_name, orientation, **options)
        found = look_as_shown(data)
        assert found.shape[:2] == ((24, 20) if orientation >= 5 else (20, 24))
        path = tmp_path / str(orientation)
        path.write_bytes(data)
        tolerance = TOLERANCE_JPEG if format_name == "JPEG" else 0
        same(decode(tf.constant(data), 3), shown(data, 3), tolerance)
        same(read_in_graph([path], [found], 3)[0], shown(data, 3), tolerance)


def test_orientation_of_a_png_may_come_after_its_pixels():
    plain = encoded(files.RGB, "PNG")
    exif = Image.Exif()
    exif[files.ORIENTATION] = 6
    end = plain.index(b"IEND") - 4
    data = plain[:end] + files.png_chunk(b"eXIf", exif.tobytes()[6:]) + plain[end:]
    assert look_as_shown(data).kind.orientation == 6
    same(decode(tf.constant(data), 3), shown(data, 3), 0)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_is_upright(value):
    assert look_as_shown(files.turned(files.SMOOTH, "JPEG", value)).kind.orientation == 1


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_png_with_a_long_text(name):
    """Pillow refuses more than 1 MiB."""
    packed = zlib.compress(bytes(2**21))
    start = b"key\0\1\0en\0key\0" if name == b"iTXt" else b"key\0\0"
    exif = Image.Exif()
    exif[files.ORIENTATION] = 6
    chunks = [(name, start + packed), (b"eXIf", exif.tobytes()[6:])]
    pixels = files.noise(0, 4)
    data = files.png(pixels.reshape(files.HEIGHT, -1), 8, 6, *chunks)
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(data))
    found = look_as_shown(data)
    assert found.kind == Kind(Way.KERNEL_ON_WHITE, 6)
    plain = files.png(pixels.reshape(files.HEIGHT, -1), 8, 6, chunks[1])
    np.testing.assert_array_equal(decode(tf.constant(data), 3), shown(plain, 3))


def test_damaged_exif_is_upright():
    data = encoded(files.SMOOTH, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff damaged")
    assert look_as_shown(data).kind == Kind()


def test_a_set_of_many_kinds(tmp_path):
    """One graph reads all of them; each image is that of its own file."""
    named = {name: KINDS[name][0]() for name in kinds()}
    for orientation in range(2, 9):
        named[f"turned {orientation}"] = files.turned(files.SMOOTH, "JPEG", orientation)
    for number, data in enumerate(named.values()):
        (tmp_path / str(number)).write_bytes(data)
    paths = [tmp_path / str(number) for number in range(len(named))]
    found = [look_as_shown(data) for data in named.values()]
    images = read_in_graph(paths, found, 3, size=(16, 16))
    for (name, data), image in zip(named.items(), images, strict=True):
        tolerance = TOLERANCE_JPEG if name.startswith(("jpeg", "turned")) else 0
        same(image, resize(shown(data, 3), (16, 16)).numpy(), tolerance)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["jpeg", "jpeg cmyk", "png palette"], set()),
        (["jpeg", "png alpha"], {"If", "Case"}),
        (["jpeg", "bmp palette"], {"If", "Case", "PyFunc"}),
    ],
)
def test_ordinary_images_need_no_python_and_no_branch(tmp_path, names, expected):
    found = []
    for name in names:
        (tmp_path / name).write_bytes(KINDS[name][0]())
        found.append(look_as_shown((tmp_path / name).read_bytes()))
    shape = (files.HEIGHT, files.WIDTH, 3)
    source = EncodedImages(
        ImageFiles([tmp_path / name for name in names]), [each.kind for each in found], [0] * 3, shape, None
    )
    graph = tf.function(source.read).get_concrete_function(tf.TensorSpec([None], tf.int64)).graph.as_graph_def()
    nodes = [node.op for node in graph.node]
    for function in graph.library.function:
        nodes += [node.op for node in function.node_def]
    kinds_of_nodes = {op.removeprefix("Stateless").removeprefix("Eager") for op in nodes}
    assert kinds_of_nodes & {"If", "Case", "PyFunc"} <= expected
    assert ("PyFunc" in kinds_of_nodes) == ("PyFunc" in expected)
    assert "ReverseV2" not in kinds_of_nodes
    assert "Transpose" not in kinds_of_nodes


def folder_of(tmp_path, make, count=40):
    """A data set of two classes, where ``make(number)`` gives each file's ending and contents."""
    for number in range(count):
        ending, data = make(number)
        path = tmp_path / "pets" / "ab"[number % 2] / f"{number}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return DatasetConfig(str(tmp_path / "pets"), str(tmp_path / "prepared"))


def images_of(dataset):
    images = []
    for source in dataset.sources.values():
        images += list(source.read(tf.range(source.num_examples, dtype=tf.int64))["image"].numpy())
    return images


def grey_alpha(number):
    image = Image.merge("LA", (Image.fromarray(files.noise(number, 1)[..., 0]), files.OPACITY))
    return encoded(image, "PNG")


def test_grey_with_transparency_stays_grey_and_is_reported(tmp_path):
    def make(number):
        if number % 4 == 0:
            return ".png", grey_alpha(number)
        return ".bmp", encoded(Image.fromarray(files.noise(number, 1)[..., 0]), "BMP")

    dataset = open_images(folder_of(tmp_path, make))
    assert dataset.image_shape == (20, 24, 1)
    assert "put on white: 10 images with transparency" in dataset.notes
    read = {image.tobytes() for image in images_of(dataset)}
    assert read == {shown(make(number)[1], 1).tobytes() for number in range(40)}


def test_photographs_of_a_phone_have_one_size(tmp_path):
    def make(number):
        stored = Image.fromarray(files.noise(number))
        if number % 2:
            stored = stored.transpose(Image.Transpose.ROTATE_90)
        return ".PNG", files.turned(stored, "PNG", 6 if number % 2 else 1)

    dataset = open_images(folder_of(tmp_path, make))
    assert dataset.image_shape == (20, 24, 3)
    assert "turned by EXIF orientation: 20 images" in dataset.notes
    read = {image.tobytes() for image in images_of(dataset)}
    assert read == {files.noise(number).tobytes() for number in range(40)}


ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".JFIF"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".GIF",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm"),
}


def test_endings(tmp_path):
    pairs = [(format_name, ending) for format_name, endings in ENDINGS.items() for ending in endings]

    def make(number):
        format_name, ending = pairs[number % len(pairs)]
        return ending, encoded(Image.fromarray(files.noise(number)), format_name)

    config = folder_of(tmp_path, make, count=52)
    (tmp_path / "pets" / "a" / "notes.txt").write_text("text")
    dataset = open_images(config)
    assert len(images_of(dataset)) == 52
    assert dataset.notes[0] == "left out: 1 file of other kinds: 1 .txt"


def test_the_contents_decide_and_not_the_ending(tmp_path):
    data = encoded(files.PALETTE, "BMP")
    (tmp_path / "picture.jpg").write_bytes(data)
    found = look_as_shown((tmp_path / "picture.jpg").read_bytes())
    np.testing.assert_array_equal(read_in_graph([tmp_path / "picture.jpg"], [found], 3)[0], shown(data, 3))
