"""Decodes every image once before a run begins, to check it, and remembers the result for later runs."""

import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import tensorflow as tf

from tfdl.data.hash_split import hash_split


@dataclass(frozen=True)
class Seen:
    """What decoding found in an image's file."""

    size: int
    """Bytes of the file."""
    modified: int
    """Time of the last change in nanoseconds. A file of the same size and time is taken to be unchanged."""
    shape: tuple[int, ...] = ()
    """Height, width and channels."""
    split: str = ""
    """By the hash of the file's bytes."""
    error: str = ""
    """Why the file is not an image; empty if it is one."""


def look_at(paths: Sequence[Path], memory: Path) -> list[Seen]:
    """Decodes each image that is new or has changed since the last time (some hundred images a second on each core).

    Args:
        paths: the files.
        memory: a JSON file that keeps the results. If it cannot be written, all images are decoded each time.

    Returns:
        The result for each path, in the same order.
    """
    remembered = _remembered(memory)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        results = list(workers.map(lambda path: _if_unchanged(path, remembered) or _look(path), paths))
    current = {str(path.absolute()): seen for path, seen in zip(paths, results, strict=True)}
    if any(remembered.get(path) != seen for path, seen in current.items()):
        _remember(memory, {**remembered, **current})
    return results


def decode(data: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes an image; of an animation, its first frame.

    Args:
        data: the bytes of a file.
        channels: 1 or 3 to convert to; 0 keeps the image's own.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def _if_unchanged(path: Path, remembered: dict[str, Seen]) -> Seen | None:
    """What is remembered of a file, unless the file has changed since."""
    seen = remembered.get(str(path.absolute()))
    if seen is None:
        return None
    status = path.stat()
    is_unchanged = seen.size == status.st_size and seen.modified == status.st_mtime_ns
    return seen if is_unchanged else None


def _look(path: Path) -> Seen:
    modified = path.stat().st_mtime_ns
    data = path.read_bytes()
    if not data:
        return Seen(0, modified, error="empty")
    try:
        with tf.device("CPU:0"):
            shape = tuple(map(int, decode(tf.constant(data), 0).shape))
            # A grey image is read with 3 channels if other images of the set have colours.
            decode(tf.constant(data), 3)
    except tf.errors.InvalidArgumentError as error:
        return Seen(len(data), modified, error=f"not an image that can be read ({_reason(error)})")
    return Seen(len(data), modified, shape, hash_split(data))


def _reason(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the operation's name around it: its first line, at most 160 characters."""
    message = str(error.message).split("}}", 1)[-1].split("[Op:", 1)[0]
    first_line = message.strip().splitlines()[0]
    return first_line.rstrip(".")[:160]


def _remembered(memory: Path) -> dict[str, Seen]:
    try:
        values = json.loads(memory.read_text(encoding="utf-8"))
        return {path: Seen(**{**fields, "shape": tuple(fields["shape"])}) for path, fields in values.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _remember(memory: Path, seen: dict[str, Seen]) -> None:
    """Writes the file aside and renames it, so that other processes never read half of it."""
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False, encoding="utf-8") as aside:
            json.dump({path: asdict(fields) for path, fields in seen.items()}, aside)
        os.replace(aside.name, memory)
