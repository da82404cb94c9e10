"""What is known of the images in an ArrayRecord file: found out once, by decoding each of them, and remembered."""

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import tensorflow as tf

from tfdl.data.files.image_check import why_unreadable
from tfdl.data.files.image_rules import ImageRules
from tfdl.data.hash_split import content_number
from tfdl.data.notices import WorkNotice
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.converted_rows import ERROR
from tfdl.data.records.examples import values_of
from tfdl.data.records.labels import label_text
from tfdl.data.records.shards import Shard, stamp

# What the remembered results depend on: their own format, and the decoders that were compared with each other.
_MADE_BY = {"format": 2, "tensorflow": tf.__version__, "pillow": PIL.__version__}
# Bytes of images that are decoded before the next ones are read.
_CHUNK_BYTES = 2**24
_NO_LABEL = -1


@dataclass
class ImageIndex:
    """Facts about the ``n`` records of a file."""

    labels: np.ndarray
    """int32 ``(n,)``, places in ``label_texts``; -1 for a record that cannot be used."""
    hashes: np.ndarray
    """uint64 ``(n,)``, of the content of each image's file."""
    shapes: np.ndarray
    """int32 ``(n, 3)``: height, width and channels, as the image is shown."""
    ways: np.ndarray
    """uint8 ``(n,)``; see ``Kind``."""
    orientations: np.ndarray
    """uint8 ``(n,)``; see ``Kind``."""
    is_transparent: np.ndarray
    """bool ``(n,)``."""
    label_texts: list[str] = field(default_factory=list)
    """The different labels, as they are written."""
    errors: dict[int, str] = field(default_factory=dict)
    """Number of a record that cannot be used -> why."""

    @classmethod
    def of(cls, count: int) -> "ImageIndex":
        """An index without facts yet.

        Args:
            count: the number of records.
        """
        return cls(
            labels=np.full(count, _NO_LABEL, np.int32),
            hashes=np.zeros(count, np.uint64),
            shapes=np.zeros((count, 3), np.int32),
            ways=np.zeros(count, np.uint8),
            orientations=np.ones(count, np.uint8),
            is_transparent=np.zeros(count, bool),
        )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The facts that each record has, by name."""
        names = ("labels", "hashes", "shapes", "ways", "orientations", "is_transparent")
        return {name: getattr(self, name) for name in names}


def index_of(shard: Shard, rules: ImageRules, encoding: str, notice: WorkNotice) -> ImageIndex:
    """The facts about a file's images; from memory if neither the file nor the decoders have changed.

    Args:
        shard: the file.
        rules: how images become pixels.
        encoding: of labels that are texts.
        notice: is told how many records are done.
    """
    memory = shard.memory / f"checked-{rules.number}-{encoding}.npz"
    made_by = json.dumps({**_MADE_BY, "stamp": stamp(shard.path), "class_names": shard.class_names}, sort_keys=True)
    index = _remembered(memory, made_by)
    if index is None:
        index = _looked_at(shard, rules, encoding, notice)
        _remember(memory, made_by, index)
    return index


def _looked_at(shard: Shard, rules: ImageRules, encoding: str, notice: WorkNotice) -> ImageIndex:
    file = ArrayRecordFile(str(shard.path))
    index = ImageIndex.of(len(file))
    numbers: dict[str, int] = {}

    def look(record: bytes) -> tuple[str, Any, int] | str:
        return _look(record, shard, rules, encoding)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        for begin, records in _chunks(file):
            for number, found in enumerate(workers.map(look, records), begin):
                if isinstance(found, str):
                    index.errors[number] = found
                    continue
                label, seen, content = found
                index.labels[number] = numbers.setdefault(label, len(numbers))
                index.hashes[number] = content
                index.shapes[number] = seen.shape
                index.ways[number] = int(seen.kind.way)
                index.orientations[number] = seen.kind.orientation
                index.is_transparent[number] = seen.is_transparent
            notice.add(len(records))
    index.label_texts = list(numbers)
    return index


def _chunks(file: ArrayRecordFile) -> Iterator[tuple[int, list[bytes]]]:
    """The number of the first of a few records, and the records."""
    size = Path(file.path).stat().st_size
    at_once = max(1, int(_CHUNK_BYTES * len(file) / max(size, 1)))
    for begin in range(0, len(file), at_once):
        yield begin, file.read(range(begin, min(begin + at_once, len(file))))


def _look(record: bytes, shard: Shard, rules: ImageRules, encoding: str) -> tuple[str, Any, int] | str:
    """Label, what decoding found, and the hash of the content; or why the record cannot be used."""
    try:
        values = values_of(record)
        reason = values.get(ERROR)
        if isinstance(reason, bytes):
            return reason.decode()
        text = label_text(values, shard.label, shard.class_names, encoding)
    except ValueError as error:
        return str(error)
    image = values.get(shard.image)
    if not isinstance(image, bytes) or not image:
        return f"no image in {shard.image!r}"
    try:
        with tf.device("CPU:0"):
            found = rules.look(image)
    except Exception as error:
        # Damaged images fail in many ways: Pillow raises errors of ten types.
        return f"not an image that can be read ({why_unreadable(error)})"
    return text, found, content_number(image)


def _remembered(memory: Path, made_by: str) -> ImageIndex | None:
    try:
        with np.load(memory, allow_pickle=False) as values:
            facts = json.loads(str(values["facts"]))
            if facts["made_by"] != made_by:
                return None
            index = ImageIndex.of(0)
            arrays = {name: values[name] for name in index.arrays}
            errors = {int(number): text for number, text in facts["errors"].items()}
            return ImageIndex(**arrays, label_texts=facts["label_texts"], errors=errors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        return None


def _remember(memory: Path, made_by: str, index: ImageIndex) -> None:
    """Writes the file aside and renames it. If it cannot be written, images are decoded again the next time."""
    facts = {"made_by": made_by, "label_texts": index.label_texts, "errors": index.errors}
    aside = None
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=memory.parent, suffix=".npz", delete=False) as aside:
            values: dict[str, Any] = {**index.arrays, "facts": json.dumps(facts)}
            np.savez(aside, **values)
        os.chmod(aside.name, 0o644)  # temporary files can be read by their owner alone
        os.replace(aside.name, memory)
    except OSError:
        if aside is not None:
            Path(aside.name).unlink(missing_ok=True)
