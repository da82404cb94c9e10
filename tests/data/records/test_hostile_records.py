"""Files of records that name sizes which they do not have, or repeat one long value very often."""

import gzip
import struct
import tracemalloc

import pyarrow as pa
import pytest
from pyarrow import parquet

from tfdl.data.records.parquet import ParquetFile
from tfdl.data.records.tfrecord import MOST_RECORD_BYTES, _masked_crc, read_tfrecord
from tfdl.errors import UserError

MB = 2**20


def header(length):
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", _masked_crc(packed))


@pytest.mark.parametrize("length", [MOST_RECORD_BYTES + 1, 2**40, 2**64 - 1])
@pytest.mark.parametrize("opener", [open, gzip.open])
def test_a_record_that_is_longer_than_any_is(tmp_path, length, opener):
    path = tmp_path / "a.tfrecord"
    with opener(path, "wb") as file:
        file.write(header(length) + b"x" * 100)
    with pytest.raises(UserError, match=f"has a record of {length:,} bytes, expected at most 268,435,456"):
        list(read_tfrecord(path))


def test_a_record_that_is_longer_than_its_file_takes_no_memory(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(header(MOST_RECORD_BYTES) + b"x" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="ends within record 1"):
            list(read_tfrecord(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * MB


def test_a_long_record_is_read(tmp_path):
    """The control, which also has more than one piece."""
    path = tmp_path / "a.tfrecord"
    path.write_bytes(header(10 * MB) + b"x" * (10 * MB) + b"1234")
    assert [len(record) for record in read_tfrecord(path)] == [10 * MB]


def write_repeated(path, value, count):
    column = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [value])
    parquet.write_table(pa.table({"text": column}), path, dictionary_pagesize_limit=2**30, store_schema=False)


def test_a_dictionary_that_is_repeated_by_every_row(tmp_path):
    """A file of some kilobytes, of which 4,096 rows have 8 GB."""
    path = tmp_path / "a.parquet"
    write_repeated(path, "x" * 2_000_000, 20_000)
    assert path.stat().st_size < 200_000
    before = pa.total_allocated_bytes()
    rows = ParquetFile(path).rows()
    assert len(next(rows)["text"]) == 2_000_000
    assert pa.total_allocated_bytes() - before < 400 * MB


def test_a_dictionary_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdl.data.records.parquet._MOST_DICTIONARY_BYTES", 1000)
    path = tmp_path / "a.parquet"
    write_repeated(path, "x" * 2000, 3)
    with pytest.raises(UserError, match=r"has a dictionary of 2,004 bytes, expected at most 1,000; write it without"):
        list(ParquetFile(path).rows())


def test_short_values_are_read_by_the_thousand(tmp_path):
    """The control: common dictionaries do not make reading slower."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": [f"word {number % 100}" for number in range(10_000)]}), path)
    calls = []
    file = ParquetFile(path)
    original = file._file.iter_batches
    file._file = type("Watched", (), {"metadata": file._file.metadata, "iter_batches": None})()
    file._file.iter_batches = lambda size, **options: calls.append(size) or original(size, **options)
    assert len(list(file.rows())) == 10_000
    assert calls == [4096]
