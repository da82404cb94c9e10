"""The user's images in class folders."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data import open_images, opening
from tfdl.data.files import image_check
from tfdl.data.images import resize
from tfdl.errors import UserError


def picture(number, shape=(8, 10, 3)):
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    encode = {".png": tf.io.encode_png, ".jpg": lambda x: tf.io.encode_jpeg(x, quality=100)}[path.suffix]
    path.write_bytes(encode(image).numpy())


@pytest.fixture
def folder(tmp_path):
    """60 images of two classes."""
    for number in range(60):
        write(tmp_path / "pets" / ("cat", "dog")[number % 2] / f"{number}.png", picture(number))
    return tmp_path / "pets"


@pytest.fixture
def opened(tmp_path):
    def make(folder, **fields):
        return open_images(DatasetConfig(str(folder), str(tmp_path / "prepared"), **fields))

    return make


def contents(dataset):
    """Bytes of each image -> split and class."""
    found = {}
    for split, source in dataset.sources.items():
        batch = source.read(tf.range(source.num_examples, dtype=tf.int64))
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy(), strict=True):
            found[image.tobytes()] = split, dataset.class_names[label]
    return found


def test_every_image_is_in_one_split_with_its_class(folder, opened):
    dataset = opened(folder)
    assert (dataset.class_names, dataset.image_shape) == (("cat", "dog"), (8, 10, 3))
    found = contents(dataset)
    assert {image: label for image, (_, label) in found.items()} == {
        picture(number).tobytes(): ("cat", "dog")[number % 2] for number in range(60)
    }
    assert sum(source.num_examples for source in dataset.sources.values()) == 60
    assert [source.num_examples for source in dataset.sources.values()] == [50, 5, 5]  # by hash


def test_added_images_move_none(folder, opened):
    before = contents(opened(folder))
    for number in range(60, 80):
        write(folder / "dog" / f"a{number}.png", picture(number))
    after = contents(opened(folder))
    assert after.items() >= before.items()
    assert len(after) == 80


def test_images_read_from_disk_are_those_in_memory(folder, opened):
    memory = opened(folder)
    disk = opened(folder, memory_limit_mb=0)
    assert type(memory.sources["train"]) is not type(disk.sources["train"])
    assert contents(memory) == contents(disk)


def test_images_of_many_sizes_need_one(folder, opened):
    write(folder / "cat" / "large.jpg", picture(99, (20, 30, 3)))
    with pytest.raises(UserError, match="differ in size, expected one size: give --image-size"):
        opened(folder)
    dataset = opened(folder, image_size=(6, 5))
    assert dataset.image_shape == (6, 5, 3)
    assert resize(picture(0), (6, 5)).numpy().tobytes() in contents(dataset)


def test_large_images_of_one_size_need_a_chosen_one(tmp_path, opened):
    for number in range(40):
        write(tmp_path / "x" / "ab"[number % 2] / f"{number}.png", np.full((480, 640, 1), number, np.uint8))
    with pytest.raises(UserError, match=r"are 480x640, .* --image-size 224; --image-size 480x640 keeps their size"):
        opened(tmp_path / "x")
    assert opened(tmp_path / "x", image_size=(480, 640)).image_shape == (480, 640, 1)


def test_images_without_colours_keep_one_channel(tmp_path, opened):
    for number in range(60):
        write(tmp_path / "grey" / "ab"[number % 2] / f"{number}.png", picture(number, (8, 8, 1)))
    assert opened(tmp_path / "grey").image_shape == (8, 8, 1)
    write(tmp_path / "grey" / "a" / "coloured.png", picture(99, (8, 8, 3)))
    assert opened(tmp_path / "grey").image_shape == (8, 8, 3)


def test_folders_that_are_named_after_splits(tmp_path, opened):
    splits = ["train"] * 20 + ["val"] * 6 + ["test"] * 4
    for number, split in enumerate(splits):
        write(tmp_path / "x" / split / "ab"[number % 2] / f"{number}.png", picture(number))
    assert [source.num_examples for source in opened(tmp_path / "x").sources.values()] == [20, 6, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"no image at all", "not an image that can be read"), (None, "not an image that can be read")],
)
def test_a_damaged_image_is_reported_with_its_file_or_left_out_and_counted(folder, opened, content, message):
    whole = (folder / "cat" / "0.png").read_bytes()
    (folder / "dog" / "broken.png").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(UserError, match=rf"1 bad row: .*broken\.png: {message}.*--skip-bad-rows"):
        opened(folder)
    dataset = opened(folder, skip_bad_rows=True)
    assert sum(source.num_examples for source in dataset.sources.values()) == 60
    assert "1 bad row left out, the first one" in dataset.notes[0]


def test_a_folder_of_damaged_images_alone(tmp_path, opened):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(b"no image at all")
    with pytest.raises(UserError, match=r"has no images that can be read; the first: .*1\.png: not an image"):
        opened(tmp_path / "pets", skip_bad_rows=True)


def test_images_are_looked_at_once(folder, opened, monkeypatch):
    opened(folder)
    looked = []
    look = image_check._look
    monkeypatch.setattr(image_check, "_look", lambda path, rules: looked.append(path.name) or look(path, rules))
    opened(folder)
    assert looked == []
    write(folder / "cat" / "0.png", picture(500))
    opened(folder)
    assert looked == ["0.png"]


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (lambda folder: folder / "nowhere", {}, "no such file or folder"),
        (
            lambda folder: folder / "cat",
            {},
            "has 0 folders of images, expected a folder for each of at least two classes",
        ),
        (lambda folder: folder, {"test_split": "test"}, "have no meaning for your own images"),
    ],
)
def test_bad_input(folder, opened, make, fields, message):
    with pytest.raises(UserError, match=message):
        opened(make(folder), **fields)


def test_tables_are_looked_for_only_where_there_are_no_images(folder, opened, monkeypatch):
    looked = []
    monkeypatch.setattr(opening, "refuse_tables", looked.append)
    opened(folder)
    (folder / "dog" / "broken.png").write_bytes(b"")
    with pytest.raises(UserError, match="1 bad row"):
        opened(folder)
    assert looked == []
    with pytest.raises(UserError, match="has 0 folders of images"):
        opened(folder / "cat")
    assert len(looked) == 1
