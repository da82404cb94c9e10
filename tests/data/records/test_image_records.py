"""Images in rows are the images of class folders: the same splits, classes and pixels in every format."""

import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.records.making import (
    FORMATS,
    example,
    png,
    random_images,
    write,
    write_array_record,
    write_parquet,
    write_tfrecord,
)
from tfdl.config import DatasetConfig
from tfdl.data import open_images
from tfdl.data.files.describing import describe_files
from tfdl.data.files.encoded_images import EncodedImages
from tfdl.data.pipeline import training_batches
from tfdl.data.python_reading import taken
from tfdl.data.records import array_record, description, files
from tfdl.data.records.table import RecordTable
from tfdl.data.sources import ArraySource
from tfdl.errors import RunError, UserError

IMAGES = random_images(60)
ROWS = [{"image": image, "label": ("cat", "dog")[number % 2]} for number, image in enumerate(IMAGES)]


@pytest.fixture
def opened(tmp_path):
    def make(path, **fields):
        return open_images(DatasetConfig(str(path), str(tmp_path / "prepared"), **fields))

    return make


def contents(dataset):
    """Bytes of each image -> split and class."""
    found = {}
    for split, source in dataset.sources.items():
        batch = source.read(tf.range(source.num_examples, dtype=tf.int64))
        for image, label in zip(batch["image"].numpy(), batch["label"].numpy(), strict=True):
            found[image.tobytes()] = split, dataset.class_names[label]
    return found


@pytest.fixture
def folder(tmp_path):
    """The same images in class folders."""
    for number, row in enumerate(ROWS):
        path = tmp_path / "pets" / row["label"] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"])
    return tmp_path / "pets"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("num_shards", [1, 3])
def test_every_format_has_the_data_set_of_class_folders(tmp_path, folder, opened, file_format, num_shards):
    for number in range(num_shards):
        write(tmp_path / "rows", f"part-{number}", ROWS[number::num_shards], file_format)
    expected = contents(opened(folder))
    assert contents(opened(tmp_path / "rows")) == expected
    assert contents(opened(tmp_path / "rows", memory_limit_mb=0)) == expected
    assert len(expected) == 60


@pytest.mark.parametrize("file_format", FORMATS)
def test_stratified_splits_and_exact_labels_are_those_of_class_folders(tmp_path, folder, opened, file_format):
    rows = [*ROWS[:50], *({"image": row["image"], "label": "rare"} for row in ROWS[50:53])]
    (folder / "rare").mkdir()
    for number in range(50, 60):
        path = folder / ROWS[number]["label"] / f"{number}.png"
        if number < 53:
            path.rename(folder / "rare" / path.name)
        else:
            path.unlink()
    path = write(tmp_path, "pets", rows, file_format)
    found = contents(opened(path, stratified=True))
    assert found == contents(opened(folder, stratified=True))
    assert sorted(split for split, label in found.values() if label == "rare") == ["test", "train", "validation"]
    numbered = write(
        tmp_path, "numbered", [{**row, "label": ("1", "1.0")[n % 2]} for n, row in enumerate(rows)], "parquet"
    )
    assert opened(numbered, exact_labels=True).class_names == ("1", "1.0")
    with pytest.raises(UserError, match="in the class '1' alone"):
        opened(numbered)


@pytest.mark.parametrize("file_format", FORMATS)
def test_images_above_the_memory_limit_are_read_at_random(tmp_path, opened, file_format):
    path = write(tmp_path, "pets", ROWS, file_format)
    source = opened(path, memory_limit_mb=0).sources["train"]
    assert isinstance(source, EncodedImages)
    everything = source.read(np.arange(source.num_examples))["image"].numpy()
    numbers = np.random.default_rng(0).permutation(source.num_examples)
    for some in np.split(numbers, [1, 4, 20]):
        np.testing.assert_array_equal(source.read(some)["image"], everything[some])


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_named_after_splits(tmp_path, opened, file_format):
    for split, begin in (("train", 0), ("validation", 40), ("test", 50)):
        write(tmp_path / "rows", f"pets-{split}", ROWS[begin : begin + 10], file_format)
    dataset = opened(tmp_path / "rows")
    assert {split: source.num_examples for split, source in dataset.sources.items()} == {
        "train": 10,
        "validation": 10,
        "test": 10,
    }
    found = contents(dataset)
    pixels = np.asarray(Image.open(io.BytesIO(IMAGES[45]))).tobytes()
    assert found[pixels] == ("validation", "dog")


def test_shards_of_tfds_and_of_hugging_face(tmp_path, opened):
    """Numbers of shards after the ending, class names beside the records or within the file, a struct as the image."""
    numbered = [{"image": row["image"], "label": ("dog", "cat").index(row["label"])} for row in ROWS]
    tfds = tmp_path / "pets" / "1.0.0"
    tfds.mkdir(parents=True)
    for split, rows in (("train", numbered[:40]), ("test", numbered[40:])):
        for number in range(2):
            path = tfds / f"pets-{split}.tfrecord-{number:05}-of-00002"
            write_tfrecord(path, [example(row) for row in rows[number::2]])
    (tfds / "dataset_info.json").write_text("{}")
    (tfds / "label.labels.txt").write_text("dog\ncat\n")
    hugging_face = tmp_path / "hf" / "data"
    hugging_face.mkdir(parents=True)
    for split, rows in (("train", numbered[:40]), ("test", numbered[40:])):
        images = [{"image": {"bytes": row["image"], "path": "a.png"}, "label": row["label"]} for row in rows]
        path = hugging_face / f"{split}-00000-of-00001-0123456789abcdef.parquet"
        write_parquet(path, images, {"label": ["dog", "cat"]})
    expected = contents(opened(tfds))
    assert contents(opened(hugging_face.parent)) == expected
    assert {label for _, label in expected.values()} == {"cat", "dog"}
    assert sum(split == "test" for split, _ in expected.values()) == 20


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_that_cannot_be_used_are_named_and_counted(tmp_path, opened, file_format):
    rows = [dict(row) for row in ROWS]
    rows[3]["image"] = b"\x89PNG no image"
    rows[5]["label"] = None
    rows[6]["image"] = None
    rows[7]["label"] = " "
    path = write(tmp_path, "pets", rows, file_format)
    with pytest.raises(UserError, match=r"4 bad rows: .*pets\.\w+ row 4: not an image that can be read \(") as raised:
        opened(path)
    assert f"{path} row 6: no 'label' in it" in str(raised.value)
    assert f"{path} row 7: no image in 'image'" in str(raised.value)
    dataset = opened(path, skip_bad_rows=True)
    assert len(contents(dataset)) == 56
    assert dataset.notes[0].startswith("4 bad rows left out, the first one")


def test_class_numbers_below_zero_are_no_labels(tmp_path, opened):
    rows = [{"image": image, "label": number % 3 - 1} for number, image in enumerate(IMAGES)]
    path = write_parquet(tmp_path / "a.parquet", rows, {"label": ["cat", "dog"]})
    with pytest.raises(UserError, match=r"20 bad rows: .* row 1: no 'label' in it"):
        opened(path)
    assert opened(path, skip_bad_rows=True).class_names == ("cat", "dog")
    # Without names, they are numbers like others.
    path = write_parquet(tmp_path / "b.parquet", rows)
    assert opened(path).class_names == ("-1", "0", "1")


@pytest.mark.parametrize("file_format", FORMATS)
def test_images_of_every_kind_are_read_as_in_folders(tmp_path, opened, file_format):
    """Grey, transparent and turned images, in formats of which TensorFlow reads some and Pillow the others."""
    generator = np.random.default_rng(1)
    made = []
    for number in range(40):
        pixels = generator.integers(0, 256, (6, 6, (1, 3, 4)[number % 3]), np.uint8)
        image = Image.fromarray(pixels.squeeze(-1) if number % 3 == 0 else pixels)
        file = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = number % 8 + 1
        kind = ("PNG", "WEBP", "TIFF")[number % 4 % 3]
        image.save(file, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
        made.append((file.getvalue(), kind.lower()))
    for number, (content, kind) in enumerate(made):
        path = tmp_path / "folder" / str(number % 2) / f"{number}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    rows = [{"image": content, "label": number % 2} for number, (content, _) in enumerate(made)]
    in_folders = opened(tmp_path / "folder")
    in_rows = opened(write(tmp_path, "rows", rows, file_format), memory_limit_mb=0)
    assert contents(in_rows) == contents(in_folders)
    assert in_rows.notes == in_folders.notes
    assert any("turned" in note for note in in_rows.notes)
    assert any("white" in note for note in in_rows.notes)


def test_few_images_that_are_resized_are_in_memory_at_once(tmp_path, opened, monkeypatch):
    path = write(tmp_path, "a", ROWS, "array_record")
    counts = []
    read = RecordTable.read
    monkeypatch.setattr(RecordTable, "read", lambda self, numbers: counts.append(len(numbers)) or read(self, numbers))
    dataset = opened(path, image_size=(4, 4))
    assert isinstance(dataset.sources["train"], ArraySource)
    assert sum(counts) == 60
    assert max(counts) == 16


def test_few_images_that_are_large_are_described_together(tmp_path, monkeypatch):
    large = [{**row, "image": row["image"] + b"\0" * 2**21} for row in ROWS]  # a PNG may have anything after its end
    path = write(tmp_path, "a", large, "tfrecord")
    counts = []
    chunks = description._chunks
    monkeypatch.setattr(
        description, "_chunks", lambda rows: (counts.append(len(chunk)) or chunk for chunk in chunks(rows))
    )
    assert sum(describe_files(DatasetConfig(str(path))).description.splits.values()) == 60
    assert sum(counts) == 60
    assert max(counts) == 8


def test_grey_images_have_one_channel(tmp_path, opened):
    rows = [{"image": png(np.full((4, 4), number, np.uint8)), "label": number % 2} for number in range(40)]
    assert opened(write(tmp_path, "grey", rows, "tfrecord")).image_shape == (4, 4, 1)


def test_images_of_many_sizes_need_one(tmp_path, opened):
    rows = [*ROWS, {"image": random_images(1, size=(9, 9))[0], "label": "cat"}]
    path = write(tmp_path, "pets", rows, "parquet")
    with pytest.raises(UserError, match="differ in size, expected one size: give --image-size"):
        opened(path)
    assert opened(path, image_size=(4, 4)).image_shape == (4, 4, 3)


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl", "list.parquet", "list.tfrecord", "list.array_record"])
def test_rows_may_have_the_paths_of_images(tmp_path, folder, opened, name):
    paths = sorted(path.relative_to(tmp_path) for path in folder.rglob("*.png"))
    rows = [{"file": str(path), "kind": path.parts[1]} for path in paths]
    stem, ending = name.split(".")
    if ending == "csv":
        lines = ["file,kind", *(f"{row['file']},{row['kind']}" for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    elif ending == "jsonl":
        (tmp_path / name).write_text("".join(f'{{"file": "{row["file"]}", "kind": "{row["kind"]}"}}\n' for row in rows))
    else:
        write(tmp_path, stem, rows, ending)
    dataset = opened(tmp_path / name)
    assert contents(dataset) == contents(opened(folder))
    assert "taken for the label: the column 'kind' (choose another with --label-column)" in dataset.notes


def test_listed_images_that_are_not_there_or_not_listed_are_counted(tmp_path, opened):
    (tmp_path / "set").mkdir()
    for number, image in enumerate(IMAGES):
        (tmp_path / "set" / f"{number}.png").write_bytes(image)
    lines = ["image,label", *(f"{number}.png,{number % 2}" for number in range(50)), "gone.png,1", ",0"]
    (tmp_path / "set" / "labels.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(
        UserError, match=r"2 bad rows: .*labels\.csv line 52: no such file: .*gone\.png; .* line 53: no 'image'"
    ):
        opened(tmp_path / "set")
    dataset = opened(tmp_path / "set", skip_bad_rows=True)
    assert len(contents(dataset)) == 50
    assert any(note.startswith("left out: 10 files of images: in no row") for note in dataset.notes)
    assert not any("other kinds" in note for note in dataset.notes)


def test_the_column_of_the_image_is_chosen_or_asked_for(tmp_path, opened):
    others = random_images(60, seed=1)
    rows = [
        {"left": row["image"], "right": other, "label": row["label"]} for row, other in zip(ROWS, others, strict=True)
    ]
    path = write(tmp_path, "pairs", rows, "parquet")
    with pytest.raises(
        UserError, match=r"which column of .* is the image\? It has left, right; choose with --image-column"
    ):
        opened(path)
    left = contents(opened(path, image_column="left"))
    right = contents(opened(path, image_column="right"))
    assert len(left) == len(right) == 60
    assert not left.keys() & right.keys()
    with pytest.raises(
        UserError, match=r"--image-column 'lefd' of .* is none of left, right, label, .*Did you mean 'left'"
    ):
        opened(path, image_column="lefd")
    with pytest.raises(
        UserError, match=r"--image-column 'label' of .* has no images, expected a column of image files"
    ):
        opened(path, image_column="label")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("first", [None, IMAGES[0][:30]])
@pytest.mark.parametrize("options", [{}, {"image_column": "image"}])
def test_the_first_images_may_be_missing_or_damaged(tmp_path, opened, file_format, first, options):
    rows = [{**row, "image": first} for row in ROWS[:20]] + ROWS[20:]
    dataset = opened(write(tmp_path, "a", rows, file_format), skip_bad_rows=True, **options)
    assert len(contents(dataset)) == 40


def test_columns_of_many_files_are_those_of_the_first_ones(tmp_path, opened, monkeypatch):
    for number in range(30):
        write(tmp_path / "rows", f"part-{number:02}", ROWS[number::30], "tfrecord")
    opened(tmp_path / "rows")
    looked_at = set()
    read = files.read_tfrecord
    monkeypatch.setattr(files, "read_tfrecord", lambda path: looked_at.add(path) or read(path))
    files._opened.cache_clear()
    assert len(contents(opened(tmp_path / "rows"))) == 60
    assert len(looked_at) == 10
    # If they have no such column, all are looked at.
    write(tmp_path / "rows", "part-99", [{"image": row["image"], "kind": row["label"]} for row in ROWS], "tfrecord")
    assert len(contents(opened(tmp_path / "rows", label_column="kind", skip_bad_rows=True))) == 60


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_file_that_changes_during_a_run_is_an_error_of_one_line(tmp_path, opened, is_deleted):
    path = write(tmp_path, "a", ROWS, "array_record")
    source = opened(path, memory_limit_mb=0).sources["train"]
    path.unlink()
    if not is_deleted:
        write(tmp_path, "a", ROWS[:40], "array_record")
    array_record._reader.cache_clear()
    with pytest.raises(RunError, match=r"^.*a\.array_record has changed while it was read, .*; start again$"):
        next(taken(training_batches(source, batch_size=4, seed=0)))


@pytest.mark.parametrize("label", ["nan", float("nan")])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_label_that_is_not_a_number_is_none(tmp_path, opened, file_format, label):
    labels = [label] * 6 + [("1", "2")[number % 2] if label == "nan" else float(number % 2) for number in range(54)]
    rows = [{"image": image, "label": name} for image, name in zip(IMAGES, labels, strict=True)]
    path = write(tmp_path, "a", rows, file_format)
    with pytest.raises(UserError, match=r"6 bad rows: .* row 1: 'label' is '(nan|NaN)', which stands for no value;"):
        opened(path)
    assert len(opened(path, skip_bad_rows=True).class_names) == 2
    description = describe_files(DatasetConfig(str(path))).description
    assert len(description.classes) == 2


def test_a_label_of_a_named_image_that_is_not_a_number_is_none(tmp_path, folder, opened):
    paths = sorted(folder.glob("*/*.png"))
    lines = [f"{path},{'nan' if number < 6 else path.parent.name}" for number, path in enumerate(paths)]
    (tmp_path / "a.csv").write_text("\n".join(["image,label", *lines]))
    with pytest.raises(UserError, match=r"6 bad rows: .* line 2: 'label' is 'nan', which stands for no value;"):
        opened(tmp_path / "a.csv")


def test_names_of_classes_that_change_are_read_again(tmp_path, opened):
    rows = [{**row, "label": number % 2} for number, row in enumerate(ROWS)]
    path = write(tmp_path, "a", rows, "tfrecord")
    assert opened(path).class_names == ("0", "1")
    (tmp_path / "label.labels.txt").write_text("cat\ndog\n")
    named = contents(opened(path))
    assert named == contents(opened(write(tmp_path, "b", ROWS, "tfrecord")))
    (tmp_path / "label.labels.txt").write_text("dog!\ncat!\n")
    changed = contents(opened(path))
    opposite = {"cat": "dog!", "dog": "cat!"}
    assert changed == {image: (split, opposite[label]) for image, (split, label) in named.items()}


@pytest.mark.parametrize("file_format", FORMATS[1:])
def test_a_number_without_a_name_is_no_label(tmp_path, opened, file_format):
    rows = [{**row, "label": number % 3} for number, row in enumerate(ROWS)]
    path = write(tmp_path, "a", rows, file_format)
    (tmp_path / "label.labels.txt").write_text("cat\ndog\n")
    with pytest.raises(UserError, match=r"20 bad rows: .* row 3: no 'label' in it;"):
        opened(path)
    assert opened(path, skip_bad_rows=True).class_names == ("cat", "dog")


@pytest.mark.parametrize("file_format", FORMATS[1:])
def test_names_that_are_not_utf8_are_an_error_of_their_file(tmp_path, opened, file_format):
    path = write(tmp_path, "a", [{**row, "label": number % 2} for number, row in enumerate(ROWS)], file_format)
    (tmp_path / "label.labels.txt").write_bytes("kät\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"label\.labels\.txt is not UTF-8, expected the name of a class on each line"):
        opened(path)
    with pytest.raises(UserError, match=r"label\.labels\.txt is not UTF-8"):
        describe_files(DatasetConfig(str(path)))


def test_a_column_with_a_name_too_long_for_a_file(tmp_path, opened):
    rows = [{**row, "x" * 300: 1} for row in ROWS]
    path = write(tmp_path, "a", rows, "tfrecord")
    assert len(contents(opened(path))) == 60
    assert describe_files(DatasetConfig(str(path))).description.splits["train"] > 0


def test_records_without_a_column_that_is_read(tmp_path, opened):
    path = write_parquet(tmp_path / "a.parquet", [{"image": row["image"], "label": [row["label"]]} for row in ROWS])
    with pytest.raises(UserError, match=r"has no column of texts, numbers or classes, expected one; lists and nested"):
        opened(path)


def test_records_without_images_are_refused_with_what_they_have(tmp_path, opened):
    path = write(
        tmp_path, "texts", [{"text": f"text {number}", "label": number % 2} for number in range(40)], "parquet"
    )
    with pytest.raises(UserError, match="but has the columns text, label; for texts: tfdl train --task text-class"):
        opened(path)


def test_tables_beside_records_are_refused(tmp_path, opened):
    write(tmp_path / "set", "pets", ROWS, "parquet")
    (tmp_path / "set" / "labels.csv").write_text("text,label\na,b\n")
    with pytest.raises(UserError, match=r"labels\.csv has no images in a column 'image'"):
        opened(tmp_path / "set")


def test_a_run_keeps_its_classes(tmp_path):
    path = write(tmp_path, "pets", ROWS, "tfrecord")
    config = DatasetConfig(str(path), str(tmp_path / "prepared"))
    dataset = open_images(config, trained_names=("dog", "cat"))
    assert dataset.class_names == ("dog", "cat")
    assert contents(dataset) == contents(open_images(config))


def test_grouped_array_records_are_read_too(tmp_path, opened):
    """Reading one record of a group would unpack all of them, so they are converted."""
    grouped = write_array_record(tmp_path / "grouped.array_record", [example(row) for row in ROWS], "group_size:16")
    single = write(tmp_path, "single", ROWS, "array_record")
    assert contents(opened(grouped)) == contents(opened(single))
    converted = list((tmp_path / "prepared" / "tfdl-records").rglob("*.array_record"))
    assert len(converted) == 1  # not of the other


def test_images_checked_before_are_not_decoded_again(tmp_path, opened, monkeypatch):
    path = write(tmp_path, "pets", ROWS, "tfrecord")
    before = contents(opened(path))

    def refuse(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("tfdl.data.records.image_index._look", refuse)
    assert contents(opened(path)) == before
    for memory in (tmp_path / "prepared").rglob("checked-*.npz"):
        memory.write_bytes(memory.read_bytes()[:100])  # damaged
    with pytest.raises(AssertionError, match="decoded again"):
        opened(path)
    monkeypatch.undo()
    assert contents(opened(path)) == before
    shutil.rmtree(tmp_path / "prepared")
    assert contents(opened(path)) == before


@pytest.mark.parametrize("pixels", [[0, 255, 0, 255], b"\0\xff\0\xff"])
def test_pixels_are_not_images_and_the_error_says_so(tmp_path, opened, pixels):
    rows = [{"image": pixels, "label": number % 2} for number in range(30)]
    path = write_parquet(tmp_path / "mnist.parquet", rows)
    with pytest.raises(UserError, match=r"has no images \(the contents of PNG, .*; not lists or bytes of pixels\)"):
        opened(path)
