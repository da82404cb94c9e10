"""Files of records with the same rows in every format, written by the formats' own libraries."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

FORMATS = ("parquet", "tfrecord", "array_record")
Row = Mapping[str, Any]


def example(row: Row) -> bytes:
    """A row as ``tf.train.Example``; values that are None are left out."""
    made = tf.train.Example()
    for name, value in row.items():
        feature = made.features.feature[name]
        if isinstance(value, str | bytes):
            feature.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        elif value is not None:
            feature.int64_list.value.append(value)
    return made.SerializeToString()


def write_tfrecord(path: Path, records: Sequence[bytes], compression: str = "") -> Path:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def write_array_record(path: Path, records: Sequence[bytes], options: str = "group_size:1") -> Path:
    writer = ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def write_parquet(
    path: Path, rows: Sequence[Row], class_names: Mapping[str, Sequence[str]] | None = None, **options: Any
) -> Path:
    """Class names are stored as Hugging Face's ``datasets`` does."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    if class_names:
        features = {name: {"names": list(known), "_type": "ClassLabel"} for name, known in class_names.items()}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)
    return path


def write(folder: Path, stem: str, rows: Sequence[Row], file_format: str) -> Path:
    """Rows in a file of one of ``FORMATS``."""
    path = folder / f"{stem}.{file_format}"
    folder.mkdir(parents=True, exist_ok=True)
    if file_format == "parquet":
        return write_parquet(path, rows)
    records = [example(row) for row in rows]
    return write_tfrecord(path, records) if file_format == "tfrecord" else write_array_record(path, records)


def png(pixels: np.ndarray) -> bytes:
    """The content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def random_images(count: int, seed: int = 0, size: tuple[int, int] = (6, 5)) -> list[bytes]:
    """PNG files of noise, all different."""
    generator = np.random.default_rng(seed)
    return [png(generator.integers(0, 256, (*size, 3), np.uint8)) for _ in range(count)]
