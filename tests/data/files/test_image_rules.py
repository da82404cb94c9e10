"""Bad image files are named before a run; results are remembered; a run keeps the rules that it began with."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files.encoded_images import (
    GREY,
    KINDS,
    PALETTE,
    RGB,
    RGBA,
    SMOOTH,
    TWO_FRAMES,
    encoded,
    noise,
    png,
    shown,
    turned,
)
from tfdl.config import DatasetConfig
from tfdl.data import open_images
from tfdl.data.files import image_check
from tfdl.data.files.image_check import decode, look_at
from tfdl.data.files.image_decoding import Kind, Way
from tfdl.data.files.image_rules import image_rules, look_as_shown, look_first
from tfdl.data.images import CURRENT_RULES, FIRST_RULES
from tfdl.errors import UserError

CURRENT = image_rules(CURRENT_RULES)
FIRST = image_rules(FIRST_RULES)

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 24\n%%EndComments\nshowpage\n%%EOF\n"
HUGE = png(noise(0, 1)[..., 0], 8, 0, size=(60_000, 60_000))


def error_of(tmp_path: Path, data: bytes, rules=CURRENT) -> str:
    path = tmp_path / "image"
    path.write_bytes(data)
    (seen,) = look_at([path], tmp_path / "memory.json", rules)
    return seen.error


def look_again(path: Path, rules: object) -> None:
    pytest.fail(f"{path} was looked at again by {rules}")


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "bmp palette", "webp", "webp animated", "tiff", "ppm"])
@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_half_a_file_is_a_bad_row(tmp_path, kind, fraction):
    data = KINDS[kind][0]()
    assert error_of(tmp_path, data[: int(len(data) * fraction)]).startswith("not an image that can be read (")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "not an image that can be read (none of JPEG, PNG, BMP, GIF,"),
        (b"\xff\xd8\xff", "not an image that can be read ("),
        (b"\x89PNG\r\n\x1a\n", "not an image that can be read ("),
        (b"\xff\x0a\x18\x26\x10\x50\x54\x55", "not an image that can be read (none of"),  # JPEG XL
        (EPS, "not an image that can be read (none of"),
        (encoded(Image.fromarray(noise(0, 4).view(np.float32)[..., 0]), "TIFF"), "pixels of 32 bits"),
        (encoded(Image.fromarray(noise(0, 4).view(np.int32)[..., 0]), "TIFF"), "pixels of 32 bits"),
        (HUGE, "exceeds limit of"),
    ],
    ids=["empty", "text", "jpeg's mark", "png's mark", "jpeg xl", "eps", "floats", "32 bits", "huge"],
)
def test_what_is_no_image_is_a_bad_row(tmp_path, data, message):
    error = error_of(tmp_path, data)
    assert message in error
    assert "\n" not in error
    assert "0x" not in error


def test_a_file_that_may_not_be_read_is_a_bad_row_until_it_may(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert error_of(tmp_path, encoded(RGB, "PNG")) == "cannot be opened (Permission denied)"
    (seen,) = look_at([tmp_path / "image"], tmp_path / "memory.json", CURRENT)
    assert not seen.error


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_an_image_of_one_pixel(format_name):
    data = encoded(Image.new("RGB", (1, 1), (0, 128, 255)), format_name)
    found = look_as_shown(data)
    assert found.shape == (1, 1, 3)
    assert np.abs(np.asarray(decode(tf.constant(data), 3)).astype(int) - shown(data, 3)).max() <= 1


def test_a_webp_with_frames_never_reaches_the_kernel(monkeypatch):
    """The kernel overwrites memory: it fills an image of 3 channels with 4."""
    kernel = tf.io.decode_image

    def refuse(data, **options):
        assert not data.numpy()[20] & 2
        return kernel(data, **options)

    monkeypatch.setattr(tf.io, "decode_image", refuse)
    for image in (RGB, RGBA):
        data = encoded(image, "WEBP", lossless=True, **TWO_FRAMES)
        assert look_as_shown(data).kind.way == Way.PILLOW
        with pytest.raises(ValueError, match="an animated WebP"):
            look_first(data)
    still = bytearray(turned(RGB, "WEBP", 6, lossless=True))
    still[20] |= 2  # says that it has frames, and has none
    with pytest.raises(OSError, match="decoder"):
        look_as_shown(bytes(still))


def test_warnings_of_pillow_are_not_shown(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not error_of(tmp_path, encoded(SMOOTH, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff damaged"))


def test_results_are_remembered(tmp_path, monkeypatch):
    (tmp_path / "image").write_bytes(turned(RGBA, "PNG", 6))
    first = look_at([tmp_path / "image"], tmp_path / "memory.json", CURRENT)
    monkeypatch.setattr(image_check, "_look", look_again)
    assert look_at([tmp_path / "image"], tmp_path / "memory.json", CURRENT) == first
    (seen,) = first
    assert seen.kind == Kind(Way.KERNEL_ON_WHITE, 6)
    assert seen.is_transparent
    assert seen.shape == (24, 20, 3)


def remembered_before(path: Path) -> dict[str, object]:
    """What a version of tfdl without orientation remembered."""
    status = path.stat()
    fields = {
        "size": status.st_size,
        "modified": status.st_mtime_ns,
        "shape": [20, 24, 3],
        "split": "train",
        "error": "",
    }
    return {str(path): fields}


def with_another_pillow(memory: Path) -> None:
    values = json.loads(memory.read_text())
    values["made_by"]["pillow"] = "9.9.9"
    memory.write_text(json.dumps(values))


@pytest.mark.parametrize("case", ["older format", "other decoders", "damaged"])
def test_results_of_other_versions_are_not_used(tmp_path, case):
    path = tmp_path / "image"
    path.write_bytes(turned(RGB, "PNG", 6))
    memory = tmp_path / "memory.json"
    expected = look_at([path], memory, CURRENT)
    if case == "older format":
        memory.write_text(json.dumps(remembered_before(path)))
    elif case == "damaged":
        memory.write_text(memory.read_text()[:-5])
    else:
        with_another_pillow(memory)
    looked = []
    original = image_check._look
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_check, "_look", lambda path, rules: looked.append(path) or original(path, rules))
        assert look_at([path], memory, CURRENT) == expected
    assert looked == [path]
    assert json.loads(memory.read_text())["made_by"]["pillow"] != "9.9.9"


def folder_with(tmp_path: Path, make, names=("cat", "dog"), count: int = 40) -> DatasetConfig:
    for number in range(count):
        path = tmp_path / "pets" / names[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make(number))
    return DatasetConfig(str(tmp_path / "pets"), str(tmp_path / "prepared"))


def as_png(number: int) -> bytes:
    return encoded(Image.fromarray(noise(number)), "PNG")


def test_names_that_are_not_utf_8(tmp_path, monkeypatch):
    folder = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / folder).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    config = folder_with(tmp_path, as_png, names=("bar", folder))
    (tmp_path / "pets" / "bar" / os.fsdecode(b"na\xefve\n.png")).write_bytes(as_png(99))
    for memory_limit_mb in (0, 100):
        dataset = open_images(DatasetConfig(config.name, config.data_dir, memory_limit_mb=memory_limit_mb))
        assert dataset.class_names == ("bar", "café")
        assert sum(source.num_examples for source in dataset.sources.values()) == 41
        assert noise(99).tobytes() in images_of(dataset)
    with monkeypatch.context() as patch:
        patch.setattr(image_check, "_look", look_again)
        open_images(config)
    (tmp_path / "pets" / folder / os.fsdecode(b"\xe9.png")).write_bytes(b"text")
    with pytest.raises(UserError, match=r"1 bad row: .*pets/caf\\xe9/\\xe9\.png: not an image") as caught:
        open_images(config)
    str(caught.value).encode("utf-8")
    dataset = open_images(DatasetConfig(config.name, config.data_dir, skip_bad_rows=True))
    "".join(dataset.notes).encode("utf-8")


def test_a_folder_that_is_not_utf_8(tmp_path):
    config = folder_with(tmp_path, as_png)
    renamed = tmp_path / os.fsdecode(b"\xe9")
    try:
        (tmp_path / "pets").rename(renamed)
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert open_images(DatasetConfig(str(renamed), config.data_dir)).class_names == ("cat", "dog")
    for path in (renamed / "dog").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="has 1 folder of images") as caught:
        open_images(DatasetConfig(str(renamed), config.data_dir))
    str(caught.value).encode("utf-8")


def test_the_first_rules_read_as_they_did(tmp_path):
    """No orientation; transparency is dropped; endings that are new are not read."""

    def make(number):
        if number % 2:
            return encoded(Image.merge("RGBA", (*Image.fromarray(noise(number)).split(), GREY)), "PNG")
        return turned(Image.fromarray(noise(number)), "PNG", 3)

    config = folder_with(tmp_path, make)
    (tmp_path / "pets" / "cat" / "new.webp").write_bytes(encoded(SMOOTH, "WEBP"))
    first = open_images(config, rules_number=FIRST_RULES)
    assert "left out: 1 file of other kinds: 1 .webp" in first.notes
    assert "images are read as when this run began: EXIF orientation and transparency are ignored" in first.notes
    current = open_images(config)
    stored = {noise(number).tobytes() for number in range(40)}
    assert images_of(first) == stored
    assert not images_of(current) & stored
    # The memory of one is not that of the other.
    assert images_of(open_images(config, rules_number=FIRST_RULES)) == stored


def images_of(dataset) -> set[bytes]:
    found = set()
    for source in dataset.sources.values():
        found |= {
            image.tobytes() for image in source.read(tf.range(source.num_examples, dtype=tf.int64))["image"].numpy()
        }
    return found


def test_the_first_rules_name_what_they_cannot_read(tmp_path):
    # As grey, which the kernel cannot convert.
    assert "must be 0, 3 or 4 for BMP" in error_of(tmp_path, encoded(GREY, "BMP"), FIRST)
    assert error_of(tmp_path, encoded(PALETTE, "TIFF"), FIRST).startswith("not an image that can be read (")


def test_rules_of_a_newer_version_are_refused(tmp_path):
    config = folder_with(tmp_path, as_png)
    with pytest.raises(UserError, match="images by rules 99, expected 1 or 2; it was made by a newer version"):
        open_images(config, rules_number=99)
