"""Arrays by name in a safetensors file, or in the shards that several ranks have written instead of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from tfdl.errors import RunError

ORDER = "order"
"""The entry of a file's metadata with all names in the variables' order, as a JSON list."""
# Of the library, for a file that is damaged, missing, or of a number format that NumPy does not have.
_ERRORS = (SafetensorError, OSError, TypeError)


class StoredTensors:
    """The arrays of files that are open. None is read before it is asked for.

    Args:
        files: name -> the file that has the array, in the order in which the arrays were written.
    """

    def __init__(self, files: Mapping[str, Any]):
        self._files = files

    @property
    def names(self) -> Sequence[str]:
        """The arrays' names, in their order."""
        return list(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, which is not read.

        Args:
            name: of the array.
        """
        return tuple(self._files[name].get_slice(name).get_shape())

    def read(self, name: str) -> np.ndarray:
        """An array.

        Args:
            name: of the array.
        """
        array: np.ndarray = self._files[name].get_tensor(name)
        return array


@contextmanager
def open_tensors(path: Path) -> Iterator[StoredTensors]:
    """Opens a file, or its shards if it was written as such (see ``shard_name``).

    Args:
        path: the file as it is named without shards.

    Raises:
        RunError: a file cannot be read, or a shard is missing. Also if that shows within the block.
    """
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(safe_open(part, framework="np")) for part in _parts(path)]
            by_name = {name: file for file in files for name in file.keys()}  # noqa: SIM118  (no mapping)
            yield StoredTensors({name: by_name[name] for name in _order(files[0], by_name)})
    except _ERRORS as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def shard_name(name: str, index: int, count: int) -> str:
    """The name of a shard, as Hugging Face names them: ``model-00001-of-00004.safetensors``.

    Args:
        name: of the file without shards.
        index: of the shard, from 0.
        count: of all shards.
    """
    path = Path(name)
    return f"{path.stem}-{index + 1:05d}-of-{count:05d}{path.suffix}"


def names_of_parts(name: str, present: Sequence[str]) -> list[str]:
    """The file itself, or all shards that belong to those that are present, whether present or not.

    Args:
        name: of the file without shards.
        present: the names in the folder.
    """
    path = Path(name)
    pattern = re.compile(rf"{re.escape(path.stem)}-\d{{5}}-of-(\d{{5}}){re.escape(path.suffix)}")
    counts = [int(match[1]) for match in map(pattern.fullmatch, present) if match]
    if name in present or not counts:
        return [name]
    # A wrong name could ask for 99,999 shards; those that are missing are an error in any case.
    count = min(max(counts), len(present) + 1)
    return [shard_name(name, index, max(counts)) for index in range(count)]


def _parts(path: Path) -> list[Path]:
    if path.exists():
        return [path]
    present = [other.name for other in path.parent.glob(f"{path.stem}-*{path.suffix}")]
    return [path.parent / name for name in names_of_parts(path.name, present)]


def _order(file: Any, by_name: Mapping[str, Any]) -> list[str]:
    """The names in the order in which they were written; as the files have them if those do not tell it."""
    try:
        names = json.loads((file.metadata() or {}).get(ORDER, "[]"))
    except (ValueError, RecursionError) as error:
        raise SafetensorError(f"the order of its arrays is no JSON: {error}") from error
    is_order = isinstance(names, list) and len(names) == len(by_name) and set(map(str, names)) == by_name.keys()
    return names if is_order else list(by_name)
