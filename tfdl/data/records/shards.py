"""Images of the user's records as ArrayRecord files, which are read by number. Other formats are converted once."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.data.files.bad_rows import printable
from tfdl.data.notices import LOGGER, WorkNotice
from tfdl.data.preparation_lock import preparation_lock
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.converted_rows import IMAGE, LABEL, Columns, examples_of, size_of
from tfdl.data.records.endings import ARRAY_RECORD, PARQUET, ending_of, kind_of
from tfdl.data.records.files import class_names_beside
from tfdl.errors import UserError

# Folder below the folder of prepared data sets.
_FOLDER = "tfdl-records"
_RECORDS = "images.array_record"
_MANIFEST = "source.json"
_FORMAT = 1
# Each record is packed alone, so that reading one unpacks no other. Images are packed already.
_WRITE_OPTIONS = "group_size:1,uncompressed"
# Space for the index and the labels beside the images.
_MARGIN = 1.05


@dataclass(frozen=True)
class Shard:
    """One ArrayRecord file of ``tf.train.Example`` messages with an image and its label."""

    source: Path
    """The user's file."""
    path: Path
    """The ArrayRecord file: the user's own, or the one that was made of it."""
    memory: Path
    """Folder for what is known of its images."""
    split: str | None
    """The split that the user's file is named after, if any."""
    image: str
    """The feature with the image's file content."""
    label: str
    """The feature with the label."""
    class_names: tuple[str, ...] = ()
    """The names of the classes, if labels are their numbers."""


def shards_of(files: Sequence[tuple[Path, str | None]], columns: Columns, name: str, root: Path) -> list[Shard]:
    """An ArrayRecord file for each of the user's files: they themselves, or else what they are converted to, once.

    Of concurrent callers on one machine one converts under a file lock, the others wait. The space that is needed is
    reported before the first byte is written.

    Args:
        files: each with the split that it is named after, if any.
        columns: of image and label.
        name: the data set as the user wrote it, for messages.
        root: the folder of prepared data sets.

    Raises:
        UserError: too little space, a folder that cannot be written, or a damaged file.
    """
    is_readable = all(_is_readable_by_number(path) for path, _ in files)
    shards = [_shard(path, split, columns, root, is_readable) for path, split in files]
    if any(_must_be_converted(shard, columns) for shard in shards):
        with preparation_lock(root, _FOLDER, name):
            # Others may have converted meanwhile.
            missing = [shard for shard in shards if _must_be_converted(shard, columns)]
            if missing:
                _convert(missing, columns, name, root)
    return shards


def stamp(path: Path) -> dict[str, int]:
    """A file's size and the time of its last change. A file whose stamp is the same is taken to be unchanged.

    Args:
        path: the file.
    """
    status = path.stat()
    return {"size": status.st_size, "modified": status.st_mtime_ns}


def _is_readable_by_number(path: Path) -> bool:
    return ending_of(path) in ARRAY_RECORD and ArrayRecordFile(str(path.absolute())).group_size == 1


def _shard(path: Path, split: str | None, columns: Columns, root: Path, is_readable: bool) -> Shard:
    absolute = path.absolute()
    key = "\0".join([str(_FORMAT), os.fsencode(absolute).hex(), columns.image, columns.label])
    digest = hashlib.sha256(key.encode()).hexdigest()
    memory = root / _FOLDER / digest[:24]
    if is_readable:
        class_names = class_names_beside(path, columns.label)
        return Shard(path, absolute, memory, split, columns.image, columns.label, class_names)
    return Shard(path, memory / _RECORDS, memory, split, IMAGE, LABEL)


def _manifest_of(source: Path, columns: Columns) -> dict[str, Any]:
    """What a converted file depends on."""
    # The names in a Parquet file change with it.
    names = () if ending_of(source) in PARQUET else class_names_beside(source, columns.label)
    return {
        "format": _FORMAT,
        "source": printable(source.absolute()),
        "stamp": stamp(source),
        "class_names": list(names),
    }


def _must_be_converted(shard: Shard, columns: Columns) -> bool:
    if shard.path == shard.source.absolute():
        return False
    try:
        manifest = json.loads((shard.memory / _MANIFEST).read_text(encoding="utf-8"))
        return not (shard.path.exists() and manifest == _manifest_of(shard.source, columns))
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _convert(shards: Sequence[Shard], columns: Columns, name: str, root: Path) -> None:
    (root / _FOLDER).mkdir(exist_ok=True)
    needed = int(sum(size_of(shard.source, columns) for shard in shards) * _MARGIN)
    free = shutil.disk_usage(root / _FOLDER).free
    kinds = " and ".join(dict.fromkeys(_kind_of(shard.source) for shard in shards))
    noun = "file" if len(shards) == 1 else "files"
    what = f"{len(shards):,} {kinds} {noun} of {name!r} to ArrayRecord in {root / _FOLDER}"
    if free < needed:
        raise UserError(
            f"cannot convert {what}: about {_in_words(needed)} are needed, {_in_words(free)} are free; make room, or"
            " give another folder with --data-dir DIR"
        )
    LOGGER.warning("converting %s, once: it takes about %s, %s are free", what, _in_words(needed), _in_words(free))
    notice = WorkNotice("converting", needed)
    for shard in shards:
        _convert_one(shard, columns, notice)


def _kind_of(source: Path) -> str:
    return "grouped ArrayRecord" if ending_of(source) in ARRAY_RECORD else kind_of(source)


def _convert_one(shard: Shard, columns: Columns, notice: WorkNotice) -> None:
    """Writes aside and renames, so that a converted file is whole or absent."""
    from array_record.python.array_record_module import ArrayRecordWriter

    aside = shard.memory.with_name(f"{shard.memory.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    manifest = _manifest_of(shard.source, columns)
    try:
        aside.mkdir()
        writer = ArrayRecordWriter(str(aside / _RECORDS), _WRITE_OPTIONS)
        count = 0
        for example in examples_of(shard.source, columns):
            writer.write(example)
            notice.add(len(example))
            count += 1
        writer.close()
        _check_written(aside / _RECORDS, count)
        (aside / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(shard.memory, ignore_errors=True)
        os.rename(aside, shard.memory)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error).split(";")[0].splitlines()[0]
        raise UserError(
            f"converting {shard.source} in {aside.parent} failed ({reason}); make room, or give another folder with"
            " --data-dir DIR"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check_written(path: Path, count: int) -> None:
    """Raises ``RuntimeError`` if the file lacks records, such as after a disk was full."""
    try:
        found = len(ArrayRecordFile(str(path)))
    except UserError as error:
        raise RuntimeError("the file was not written completely") from error
    if found != count:
        raise RuntimeError(f"{found:,} of {count:,} records were written")


def _in_words(num_bytes: int) -> str:
    value = float(num_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
