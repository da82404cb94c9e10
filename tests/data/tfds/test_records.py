"""Records on disk, read at random: the same bytes as tf.data reads in order."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfdl.config import DatasetConfig
from tfdl.data import open_images
from tfdl.data.tfds.catalog import find_builder
from tfdl.data.tfds.records import TFRecordFile, open_records
from tfdl.errors import RunError, UserError


@pytest.fixture(scope="module")
def builders(tmp_path_factory):
    """Digits in each file format, the training split in three files."""

    def prepared(file_format):
        find_builder("digits", tmp_path_factory.getbasetemp())  # registers the builder
        builder = tfds.builder("digits", data_dir=str(tmp_path_factory.mktemp(file_format)), file_format=file_format)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.print", lambda *_, **__: None)
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
        return builder

    return {file_format: prepared(file_format) for file_format in ("tfrecord", "array_record")}


def read_all(builder, split):
    table = open_records(builder, split)
    return list(table.read(np.arange(len(table))))


def test_the_order_is_tf_data_s(builders):
    files = [str(path) for path in builders["tfrecord"].info.splits["train"].filepaths]
    assert len(files) == 3
    expected = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    assert read_all(builders["tfrecord"], "train") == expected


def test_any_record_can_be_read_without_those_before_it(builders):
    everything = read_all(builders["tfrecord"], "train")
    table = open_records(builders["tfrecord"], "train")
    places = np.array([1436, 0, 700, 700, 3, 1000])  # in all three files, one of them twice
    assert list(table.read(places)) == [everything[place] for place in places]
    assert list(table.read(np.array([], np.int64))) == []


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize(
    ("split", "parts"),
    [
        ("train[:10]", [slice(0, 10)]),
        ("train[475:985]", [slice(475, 985)]),
        ("train[-5:]", [slice(-5, None)]),
        ("train[90%:]", [slice(1293, None)]),
        ("train[:3]+train[1000:1002]", [slice(0, 3), slice(1000, 1002)]),
        ("train[:0]", [slice(0, 0)]),
    ],
)
def test_a_part_of_a_split_is_a_slice_of_it(builders, file_format, split, parts):
    everything = read_all(builders[file_format], "train")
    expected = [record for part in parts for record in everything[part]]
    assert read_all(builders[file_format], split) == expected


def test_both_formats_hold_the_same_records(builders):
    assert sorted(read_all(builders["array_record"], "train")) == sorted(read_all(builders["tfrecord"], "train"))
    assert len(open_records(builders["array_record"], "train")) == 1437


def test_array_records_can_be_read_at_random(builders):
    everything = read_all(builders["array_record"], "train")
    numbers = np.array([1436, 0, 700, 700, 3, 1000])
    records = open_records(builders["array_record"], "train").read(numbers)
    assert list(records) == [everything[number] for number in numbers]


def test_both_formats_give_images(builders):
    for file_format, builder in builders.items():
        opened = open_images(DatasetConfig("digits", str(builder.data_dir_root)))
        assert builder.info.file_format.value == file_format
        assert {name: source.num_examples for name, source in opened.sources.items()} == {
            "train": 1437,
            "validation": 180,
            "test": 180,
        }


@pytest.mark.parametrize("missing", [1, 5, 20])
def test_a_file_that_is_cut_off(builders, tmp_path, missing):
    whole = str(builders["tfrecord"].info.splits["test"].filepaths[0])
    copy = shutil.copy(whole, tmp_path / "cut.tfrecord")
    os.truncate(copy, os.path.getsize(whole) - missing)
    with pytest.raises(RunError, match=r"cut\.tfrecord is cut off at byte \d+ of \d+; prepare the data set again"):
        TFRecordFile(str(copy))


def test_a_header_that_is_cut_off(tmp_path):
    path = tmp_path / "header.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"abc")
    path.write_bytes(path.read_bytes() + b"\x05\x00\x00")
    with pytest.raises(RunError, match=r"header\.tfrecord is cut off at byte 19 of 22"):
        TFRecordFile(str(path))


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty.tfrecord").touch()
    assert len(TFRecordFile(str(tmp_path / "empty.tfrecord"))) == 0


def test_records_of_any_length(tmp_path):
    records = [b"", b"a", b"x" * 70_000, b""]
    with tf.io.TFRecordWriter(str(tmp_path / "r.tfrecord")) as writer:
        for record in records:
            writer.write(record)
    file = TFRecordFile(str(tmp_path / "r.tfrecord"))
    assert len(file) == 4
    assert file.read([2, 0, 1, 3]) == [records[2], b"", b"a", b""]


def test_another_format_is_refused(tmp_path):
    find_builder("digits", tmp_path)
    builder = tfds.builder("digits", data_dir=str(tmp_path), file_format="riegeli")
    with pytest.raises(UserError, match="'digits' is prepared as riegeli, expected tfrecord or array_record; prepare"):
        open_records(builder, "train")
