"""Each format is read back as its own library wrote it; damaged files are named, not read in part."""

import datetime
import decimal
import gzip
import itertools
import os
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.data.records.making import example, write_array_record, write_parquet, write_tfrecord
from tfdl.data.records import array_record
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.examples import example_of, values_of
from tfdl.data.records.files import open_records
from tfdl.data.records.parquet import ParquetFile
from tfdl.data.records.tfrecord import read_tfrecord
from tfdl.errors import RunError, UserError

RECORDS = [b"", b"a", b"\0" * 300, b"last"]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_tfrecord_is_read_as_tensorflow_wrote_it(tmp_path, compression):
    path = write_tfrecord(tmp_path / "a.tfrecord", RECORDS, compression)
    assert list(read_tfrecord(path)) == RECORDS
    assert list(tf.data.TFRecordDataset(str(path), compression).as_numpy_iterator()) == RECORDS  # the control


@pytest.mark.parametrize("cut", [1, 5, 10, 14, 20])
def test_a_tfrecord_file_that_is_cut_off_is_an_error_at_its_record(tmp_path, cut):
    path = write_tfrecord(tmp_path / "a.tfrecord", [b"first", b"second"])
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match=r"ends within record 2, expected a whole file"):
        list(read_tfrecord(path))


def test_other_files_are_not_taken_for_tfrecord(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"text,label\nsome text,1\n")
    with pytest.raises(UserError, match=r"no record at byte 0 .* expected a TFRecord file"):
        list(read_tfrecord(path))
    whole = write_tfrecord(path, [b"first", b"second"]).read_bytes()
    path.write_bytes(whole[:22] + bytes([whole[22] ^ 1]) + whole[23:])  # within the length of the second record
    with pytest.raises(UserError, match=r"no record at byte 21 .* the file is damaged"):
        list(read_tfrecord(path))


def test_a_damaged_gzip_file_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(gzip.compress(b"x" * 1000)[:-20])
    with pytest.raises(UserError, match=r"a\.tfrecord"):
        list(read_tfrecord(path))


@pytest.mark.parametrize("group_size", [1, 3])
def test_array_record_is_read_by_number_and_in_order(tmp_path, group_size):
    records = [f"record {number}".encode() for number in range(10)]
    file = ArrayRecordFile(str(write_array_record(tmp_path / "a.array_record", records, f"group_size:{group_size}")))
    assert len(file) == 10
    assert file.group_size == group_size
    assert file.read([7, 0, 7]) == [b"record 7", b"record 0", b"record 7"]
    assert list(file.read_all()) == records


def test_more_array_record_files_than_are_held_open(tmp_path, monkeypatch):
    monkeypatch.setattr(array_record, "_reader", array_record.lru_cache(2)(array_record._reader.__wrapped__))
    files = [
        ArrayRecordFile(str(write_array_record(tmp_path / f"{number}.array_record", [str(number).encode()])))
        for number in range(20)
    ]
    num_open = len(os.listdir("/proc/self/fd"))
    assert [file.read([0])[0] for file in files] == [str(number).encode() for number in range(20)]
    assert len(os.listdir("/proc/self/fd")) <= num_open + 2


def test_an_array_record_file_that_changes_while_it_is_read_is_an_error(tmp_path):
    path = write_array_record(tmp_path / "a.array_record", [b"first"])
    file = ArrayRecordFile(str(path))
    write_array_record(path, [b"other", b"records"])
    array_record._reader.cache_clear()  # as after many other files
    with pytest.raises(RunError, match="has changed while it was read"):
        file.read([0])


@pytest.mark.parametrize("content", [b"", b"some text that is no record\n" * 40])
def test_other_files_are_not_taken_for_array_record(tmp_path, content):
    path = tmp_path / "a.array_record"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.array_record .*expected one"):
        len(ArrayRecordFile(str(path)))


def test_examples_have_values_by_name():
    assert values_of(example({"text": "é", "n": 3, "x": 0.5})) == {"text": "é".encode(), "n": 3, "x": 0.5}
    several = tf.train.Example()
    several.features.feature["tokens"].int64_list.value.extend([1, 2])
    several.features.feature["none"].bytes_list.value.extend([])
    several.features.feature["one"].bytes_list.value.append(b"1")
    assert values_of(several.SerializeToString()) == {"one": b"1"}
    assert values_of(example_of({"image": b"i", "label": b"l"})) == {"image": b"i", "label": b"l"}


@pytest.mark.parametrize("record", [b"\xff\xff no message", b'{"text": "json"}'])
def test_records_that_are_no_examples_are_bad_rows(tmp_path, record):
    path = write_tfrecord(tmp_path / "a.tfrecord", [example({"text": "fine"}), record])
    rows = list(open_records(path).rows())
    assert rows[0] == (1, {"text": b"fine"})
    assert str(rows[1]).startswith(f"{path} row 2: not a tf.train.Example")


def test_parquet_columns_of_every_kind(tmp_path):
    day = datetime.date(2026, 5, 1)
    row = {
        "text": "é",
        "bytes": b"\xff",
        "n": 3,
        "x": 0.5,
        "is": True,
        "price": decimal.Decimal("1.50"),
        "day": day,
        "nested": {"de": "ja", "en": {"uk": "yes"}},
        "with.dots": "d",
        "image": {"bytes": b"i", "path": "p.png"},
        "only_path": {"bytes": None, "path": "p.png"},
        "list": [1, 2],
        "nothing": None,
    }
    file = ParquetFile(write_parquet(tmp_path / "a.parquet", [row]))
    expected = {
        **{name: row[name] for name in ("text", "bytes", "n", "x", "is", "with.dots")},
        "price": "1.50",
        "day": str(day),
        "nested.de": "ja",
        "nested.en.uk": "yes",
        "image": b"i",
        "only_path": "p.png",
    }
    assert list(file.rows()) == [expected]
    assert set(file.names) == set(expected)
    assert list(file.rows({"nested.de": None, "n": None})) == [{"nested.de": "ja", "n": 3}]
    assert list(file.rows({"with.dots": None})) == [{"with.dots": "d"}]


def test_parquet_values_without_an_object_of_python_are_bytes_or_numbers(tmp_path):
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"\xff"]).buffers())
    table = pa.table(
        {
            "text": not_utf8,
            "nested": pa.StructArray.from_arrays([not_utf8], names=["inner"]),
            "day": pa.array([0, 2_000_000_000], pa.date32()),
            "time": pa.array([1, 2], pa.timestamp("us", tz="Nowhere/None")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert list(ParquetFile(tmp_path / "a.parquet").rows()) == [
        {"text": "fine", "nested.inner": "fine", "day": "1970-01-01", "time": 1},
        {"text": b"\xff", "nested.inner": b"\xff", "day": 2_000_000_000, "time": 2},
    ]


def test_parquet_with_two_columns_of_one_name_is_an_error_of_one_line(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["label", "label"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match="several columns that are called 'label', expected one; rename the others"):
        ParquetFile(tmp_path / "a.parquet")


def test_the_time_of_a_row_grows_no_faster_than_the_number_of_columns(tmp_path):
    num_columns = 1000
    values = pa.array(range(500))
    pq.write_table(pa.table({f"column {number}": values for number in range(num_columns)}), tmp_path / "a.parquet")
    begin = time.process_time()
    rows = list(ParquetFile(tmp_path / "a.parquet").rows())
    assert len(rows[-1]) == num_columns
    # A second; the square of the number of columns takes more than a minute.
    assert time.process_time() - begin < 20


def test_parquet_as_pandas_writes_it(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": ["a", None, "c"], "label": pandas.Categorical(["x", "y", "x"])})
    table.to_parquet(tmp_path / "a.parquet")
    assert list(ParquetFile(tmp_path / "a.parquet").rows()) == [
        {"text": "a", "label": "x"},
        {"label": "y"},
        {"text": "c", "label": "x"},
    ]


def test_rows_of_many_groups_are_in_order(tmp_path):
    rows = [{"n": number, "text": f"text {number}" * 50} for number in range(10_000)]
    path = write_parquet(tmp_path / "a.parquet", rows, row_group_size=700)
    assert [row["n"] for row in ParquetFile(path).rows()] == list(range(10_000))


def test_parquet_without_rows_or_columns(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert list(ParquetFile(tmp_path / "a.parquet").rows()) == []
    pq.write_table(pa.table({"tokens": [[1], [2]]}), tmp_path / "b.parquet")
    assert list(ParquetFile(tmp_path / "b.parquet").rows()) == [{}, {}]


def test_damaged_parquet_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"text,label\n" * 10)
    with pytest.raises(UserError, match=r"a\.parquet cannot be read as Parquet \(.*\); make it again") as raised:
        ParquetFile(path)
    assert "\n" not in str(raised.value)
    generator = np.random.default_rng(0)
    write_parquet(path, [{"data": generator.bytes(1000)} for _ in range(100)], compression="zstd")
    content = bytearray(path.read_bytes())
    for place in range(1000, 60_000, 97):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.parquet is damaged"):
        list(itertools.islice(ParquetFile(path).rows(), 200))
