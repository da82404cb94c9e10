"""Conversion to ArrayRecord: once, under a lock, with its space stated first, whole or not at all."""

import logging
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from tests.data.records.making import random_images, write
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.converted_rows import Columns
from tfdl.data.records.shards import shards_of
from tfdl.errors import UserError

ROWS = [{"image": image, "label": number % 2} for number, image in enumerate(random_images(30))]
COLUMNS = Columns("image", "label")
# What another process runs: its arguments are the file, the folder of prepared data, and its longest file.
CONVERT = """
import logging, resource, sys
from pathlib import Path
from tfdl.data.records.converted_rows import Columns
from tfdl.data.records.shards import shards_of
from tfdl.errors import UserError
logging.basicConfig(level="WARNING")
path, root = map(Path, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    shards_of([(path, None)], Columns("image", "label"), "pets", root)
except UserError as error:
    print("refused:", error)
"""
NO_LIMIT = 2**40


def start_converting(path, root, longest_file=NO_LIMIT):
    command = [sys.executable, "-c", CONVERT, str(path), str(root), str(longest_file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def converted(path, root):
    (shard,) = shards_of([(path, None)], COLUMNS, "pets", root)
    return shard.path


@pytest.mark.parametrize("file_format", ["parquet", "tfrecord"])
def test_a_file_is_converted_once_until_it_changes(tmp_path, caplog, file_format):
    path = write(tmp_path, "pets", ROWS, file_format)
    root = tmp_path / "prepared"
    with caplog.at_level(logging.WARNING, "tfdl"):
        first = converted(path, root)
    assert len(ArrayRecordFile(str(first))) == 30
    assert (
        f"converting 1 {'Parquet' if file_format == 'parquet' else 'TFRecord'} file of 'pets' to ArrayRecord"
        in caplog.text
    )
    assert " are free" in caplog.text
    status = first.stat()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tfdl"):
        assert converted(path, root) == first
    assert first.stat() == status
    assert not caplog.text
    write(tmp_path, "pets", ROWS[:20], file_format)
    again = converted(path, root)
    assert again == first
    assert len(ArrayRecordFile(str(again))) == 20
    assert len(list((root / "tfdl-records").iterdir())) == 1  # nothing of the former file is left


def test_too_little_space_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    path = write(tmp_path, "pets", ROWS, "tfrecord")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(UserError, match=r"about \S+ KiB are needed, 1000 bytes are free; make room, or give another"):
        converted(path, tmp_path / "prepared")
    assert list((tmp_path / "prepared" / "tfdl-records").iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files stands for a full disk."""
    path = write(tmp_path, "pets", ROWS, "tfrecord")
    process = start_converting(path, tmp_path / "prepared", path.stat().st_size // 2)
    output, errors = process.communicate(timeout=120)
    assert output.startswith("refused: converting"), errors
    assert "(write() failed: File too large); make room, or give another folder with --data-dir DIR" in output
    assert list((tmp_path / "prepared" / "tfdl-records").iterdir()) == []


def test_two_processes_convert_once(tmp_path):
    path = write(tmp_path, "pets", ROWS, "parquet")
    processes = [start_converting(path, tmp_path / "prepared") for _ in range(2)]
    outputs = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum("converting 1 Parquet file" in output for output in outputs) == 1, outputs


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    path = write(tmp_path, "pets", ROWS, "parquet")
    (tmp_path / "prepared").write_text("a file")
    with pytest.raises(
        UserError, match=r"cannot prepare data set 'pets' in .*give a folder that can be written: --data-dir"
    ):
        converted(path, tmp_path / "prepared")


def test_a_damaged_file_leaves_nothing(tmp_path):
    path = write(tmp_path, "pets", ROWS, "tfrecord")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="ends within record 30"):
        converted(path, tmp_path / "prepared")
    assert list((tmp_path / "prepared" / "tfdl-records").iterdir()) == []


def test_array_records_are_used_where_they_are(tmp_path):
    path = write(tmp_path, "pets", ROWS, "array_record")
    assert converted(path, tmp_path / "prepared") == path
    assert not (tmp_path / "prepared").exists()
