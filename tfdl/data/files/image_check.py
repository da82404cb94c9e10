"""Looks at every image once, before a run begins, and remembers what it saw."""

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
    """What was found in an image's file."""

    size: int
    """Bytes of the file."""
    modified: int
    """Nanoseconds; with the size it tells whether the file is still the same."""
    shape: tuple[int, ...] = ()
    """Height, width and channels."""
    split: str = ""
    """By the hash of the file's bytes."""
    error: str = ""
    """Why it is no image; empty where it is one."""


def look_at(paths: Sequence[Path], memory: Path) -> list[Seen]:
    """Decodes each image that is new or changed since the last time; some hundred a second on each core.

    Args:
        paths: the files.
        memory: a JSON file that what was seen is kept in; where it cannot be written, images are looked at each time.
    """
    remembered = _remembered(memory)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        seen = list(workers.map(lambda path: _known(path, remembered) or _look(path), paths))
    known = {str(path.absolute()): item for path, item in zip(paths, seen, strict=True)}
    if any(remembered.get(key) != item for key, item in known.items()):
        _remember(memory, {**remembered, **known})
    return seen


def decode(data: tf.Tensor, channels: int) -> tf.Tensor:
    """Bytes of an image to uint8 ``(h, w, channels)``; of an animation, its first picture."""
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def _known(path: Path, remembered: dict[str, Seen]) -> Seen | None:
    seen, now = remembered.get(str(path.absolute())), path.stat()
    return seen if seen is not None and (seen.size, seen.modified) == (now.st_size, now.st_mtime_ns) else None


def _look(path: Path) -> Seen:
    state, data = path.stat(), path.read_bytes()
    if not data:
        return Seen(0, state.st_mtime_ns, error="empty")
    try:
        with tf.device("CPU:0"):
            shape = tuple(map(int, decode(tf.constant(data), 0).shape))
            decode(tf.constant(data), 3)  # as it may be read, when others have colours
    except tf.errors.InvalidArgumentError as error:
        return Seen(len(data), state.st_mtime_ns, error=f"not an image that can be read ({_reason(error)})")
    return Seen(len(data), state.st_mtime_ns, shape, hash_split(data))


def _reason(error: tf.errors.OpError) -> str:
    """TensorFlow's words without the operation's name around them."""
    text = str(error.message).split("}}", 1)[-1].split("[Op:", 1)[0]
    return text.strip().splitlines()[0].rstrip(".")[:160]


def _remembered(memory: Path) -> dict[str, Seen]:
    try:
        values = json.loads(memory.read_text(encoding="utf-8"))
        return {path: Seen(**{**item, "shape": tuple(item["shape"])}) for path, item in values.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _remember(memory: Path, seen: dict[str, Seen]) -> None:
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False, encoding="utf-8") as aside:
            json.dump({path: asdict(item) for path, item in seen.items()}, aside)
        os.replace(aside.name, memory)
