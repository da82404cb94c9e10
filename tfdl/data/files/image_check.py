"""Decodes every image once before a run begins, to check it, and remembers the result for later runs."""

import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import PIL
import tensorflow as tf

from tfdl.data.files.image_decoding import ImageDecoder, Kind, Way
from tfdl.data.files.image_rules import ImageRules, image_rules
from tfdl.data.hash_split import content_number
from tfdl.data.images import CURRENT_RULES

# What the remembered results depend on: their own format, and the decoders that were compared with each other.
_MADE_BY = {"format": 3, "tensorflow": tf.__version__, "pillow": PIL.__version__}
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Seen:
    """What decoding found in an image's file."""

    size: int
    """Bytes of the file; -1 if it could not be opened."""
    modified: int
    """Time of the last change in nanoseconds. A file of the same size and time is taken to be unchanged."""
    shape: tuple[int, ...] = ()
    """Height, width and channels, as the image is shown."""
    number: int = 0
    """The ``content_number`` of the file's bytes."""
    error: str = ""
    """Why the file is not an image; empty if it is one."""
    way: int = int(Way.KERNEL)
    """See ``Kind``."""
    orientation: int = 1
    """See ``Kind``."""
    is_transparent: bool = False

    @property
    def kind(self) -> Kind:
        """How the file is decoded."""
        return Kind(Way(self.way), self.orientation)


def look_at(paths: Sequence[Path], memory: Path, rules: ImageRules) -> list[Seen]:
    """Decodes each image that is new or has changed since the last time (some hundred images a second on each core).

    Args:
        paths: the files.
        memory: a JSON file that keeps the results by these rules. If it cannot be written, all images are decoded each
            time.
        rules: how files become pixels.

    Returns:
        The result for each path, in the same order.
    """
    remembered = _remembered(memory)
    look = partial(_look, rules=rules)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers, warnings.catch_warnings():
        # Such as a warning of damaged EXIF in an image that can be read.
        warnings.filterwarnings("ignore", module="PIL")
        results = list(workers.map(lambda path: _if_unchanged(path, remembered) or look(path), paths))
    current = {str(path.absolute()): seen for path, seen in zip(paths, results, strict=True)}
    if any(remembered.get(path) != seen for path, seen in current.items()):
        _remember(memory, {**remembered, **current})
    return results


def decode(data: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes one image as a new run reads it. A run itself finds the kinds of all files first, and then decodes.

    Args:
        data: the bytes of a file, outside a graph.
        channels: 1 for an image without colours, or 3.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    found = image_rules(CURRENT_RULES).look(data.numpy())
    decoder = ImageDecoder([found.kind], channels)
    return decoder(data, decoder.choices(0))


def _if_unchanged(path: Path, remembered: dict[str, Seen]) -> Seen | None:
    """What is remembered of a file, unless the file has changed since."""
    seen = remembered.get(str(path.absolute()))
    if seen is None:
        return None
    status = path.stat()
    is_unchanged = seen.size == status.st_size and seen.modified == status.st_mtime_ns
    return seen if is_unchanged else None


def _look(path: Path, rules: ImageRules) -> Seen:
    modified = path.stat().st_mtime_ns
    try:
        data = path.read_bytes()
    except OSError as error:
        return Seen(-1, modified, error=f"cannot be opened ({error.strerror})")
    if not data:
        return Seen(0, modified, error="empty")
    try:
        with tf.device("CPU:0"):
            found = rules.look(data)
    except Exception as error:
        # Damaged files fail in many ways: Pillow raises errors of ten types.
        return Seen(len(data), modified, error=f"not an image that can be read ({why_unreadable(error)})")
    return Seen(
        len(data),
        modified,
        found.shape,
        content_number(data),
        way=int(found.kind.way),
        orientation=found.kind.orientation,
        is_transparent=found.is_transparent,
    )


def why_unreadable(error: Exception) -> str:
    """The first line of a message, without the operation's name that TensorFlow adds.

    Args:
        error: from decoding an image.
    """
    message = str(error.message) if isinstance(error, tf.errors.OpError) else str(error)
    message = message.split("}}", 1)[-1].split("[Op:", 1)[0].strip()
    first_line = (message or type(error).__name__).splitlines()[0]
    return first_line.rstrip(".")[:_LONGEST_REASON]


def _remembered(memory: Path) -> dict[str, Seen]:
    try:
        values: Any = json.loads(memory.read_text(encoding="utf-8"))
        if values["made_by"] != _MADE_BY:
            return {}
        return {path: Seen(**{**fields, "shape": tuple(fields["shape"])}) for path, fields in values["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _remember(memory: Path, seen: dict[str, Seen]) -> None:
    """Writes the file aside and renames it, so that other processes never read half of it."""
    values = {"made_by": _MADE_BY, "files": {path: asdict(fields) for path, fields in seen.items()}}
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False, encoding="utf-8") as aside:
            # In ASCII: a name may hold bytes that are not UTF-8, which Python reads as half of a pair of characters.
            json.dump(values, aside, ensure_ascii=True)
        os.chmod(aside.name, 0o644)  # temporary files can be read by their owner alone
        os.replace(aside.name, memory)
