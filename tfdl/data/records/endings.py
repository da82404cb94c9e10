"""Which files are read as records, by the endings of their names."""

import re
from pathlib import Path

PARQUET = (".parquet", ".pq")
TFRECORD = (".tfrecord", ".tfrecords", ".tfrec")
ARRAY_RECORD = (".array_record", ".arrayrecord")
ENDINGS = (*PARQUET, *TFRECORD, *ARRAY_RECORD)
"""Of files of records, in lower case."""
_KINDS = {
    **dict.fromkeys(PARQUET, "Parquet"),
    **dict.fromkeys(TFRECORD, "TFRecord"),
    **dict.fromkeys(ARRAY_RECORD, "ArrayRecord"),
}
# The number of a shard, which comes last in names such as images.tfrecord-00000-of-00010.
_SHARD = re.compile(r"-\d+-of-\d+$")


def ending_of(path: Path) -> str:
    """The ending of a file's name in lower case, such as ``.csv``; the number of a shard after it does not count.

    Args:
        path: the file.
    """
    name = path.name.lower()
    bare = _SHARD.sub("", name)
    ending = Path(bare).suffix
    return ending if ending in ENDINGS else Path(name).suffix


def kind_of(path: Path) -> str:
    """The name of a file's format.

    Args:
        path: a file of records.
    """
    return _KINDS[ending_of(path)]
