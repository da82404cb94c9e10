"""Which column of the user's rows is the image: its file's content, or the path of its file."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.image_endings import ENDINGS
from tfdl.data.files.pieces import Piece
from tfdl.data.files.pillow_images import open_image
from tfdl.data.labels import shown
from tfdl.data.records.endings import ENDINGS as RECORD_ENDINGS
from tfdl.data.records.endings import ending_of
from tfdl.data.records.files import open_records
from tfdl.errors import UserError, nearest

IMAGE = "image"
NUM_FILES = 10
"""Of many files, so many are looked at to find out about columns."""
# Rows of each that are looked at; more if there is no image in the first ones, which may be missing or damaged.
_NUM_ROWS = (5, 100)
_LONGEST_PATH = 4096


@dataclass(frozen=True)
class ImageColumn:
    """The column with the images."""

    name: str
    is_path: bool
    """Whether it has the paths of files; otherwise it has their contents."""


def find_image_column(pieces: Sequence[Piece], config: DatasetConfig) -> ImageColumn | None:
    """The column that the user chose, or the only one with images; ``None`` without any.

    Args:
        pieces: files of rows.
        config: has the user's choice.

    Raises:
        UserError: the chosen column has no images, or there are several columns with images.
    """
    if config.image_column is not None:
        return _chosen(config.image_column, pieces, config)
    found: dict[str, bool] = {}
    for num_rows in _NUM_ROWS:
        found = found or dict(_columns_with_images(pieces, num_rows))
    contents = [name for name, is_path in found.items() if not is_path]
    candidates = contents or list(found)
    if len(candidates) > 1 and IMAGE in candidates:
        candidates = [IMAGE]
    if len(candidates) > 1:
        raise UserError(
            f"which column of {config.name} is the image? It has {shown(candidates)}; choose with --image-column NAME"
        )
    return ImageColumn(candidates[0], found[candidates[0]]) if candidates else None


def _chosen(name: str, pieces: Sequence[Piece], config: DatasetConfig) -> ImageColumn:
    """The column that the user chose; all rows up to its first image are read."""
    for piece in pieces:
        if name not in _names_of(piece):
            continue
        for row in _rows(piece, {name: None}):
            is_path = _is_path_of_image(row[name]) if name in row else None
            if is_path is not None:
                return ImageColumn(name, is_path)
    known = dict.fromkeys(known for piece in pieces[:NUM_FILES] for known in _names_of(piece))
    raise _not_an_image(name, list(known), config)


def _not_an_image(chosen: str, known: Sequence[str], config: DatasetConfig) -> UserError:
    facts = "has no images" if chosen in known else f"is none of {shown(known)}"
    return UserError(
        f"--image-column {chosen!r} of {config.name!r} {facts}, expected a column of image files (JPEG, PNG, ...) or of"
        f" their paths.{nearest(chosen, known) if chosen not in known else ''}"
    )


def _columns_with_images(pieces: Sequence[Piece], num_rows: int) -> Iterator[tuple[str, bool]]:
    """Each column that has an image in the first rows, and whether that is a path."""
    seen: set[str] = set()
    for piece in pieces[:NUM_FILES]:
        for row in itertools.islice(_rows(piece), num_rows):
            for name, value in row.items():
                if name in seen:
                    continue
                is_path = _is_path_of_image(value)
                if is_path is not None:
                    seen.add(name)
                    yield name, is_path


def _is_path_of_image(value: Any) -> bool | None:
    """Whether an image is its file's path, and not its content; ``None`` if the value is no image."""
    if isinstance(value, bytes) and _is_image(value):
        return False
    return True if _is_path(value) else None


def _names_of(piece: Piece) -> tuple[str, ...]:
    """The columns of a file, also those of bytes."""
    is_record = ending_of(piece.path) in RECORD_ENDINGS
    return open_records(piece.path).names if is_record else piece.columns.names


def _rows(piece: Piece, names: Mapping[str, object] | None = None) -> Iterator[Mapping[str, Any]]:
    """Rows with their values as they are stored.

    Args:
        piece: the file.
        names: of the columns that are needed; by default all.
    """
    if ending_of(piece.path) in RECORD_ENDINGS:
        yield from (row[1] for row in open_records(piece.path).rows(names) if not isinstance(row, BadRow))
        return
    # What keeps a table from being read is reported by those who read it whole.
    with suppress(UserError):
        yield from (row[1] for row in piece.rows() if not isinstance(row, BadRow))


def _is_image(value: bytes) -> bool:
    try:
        open_image(value)
    except Exception:
        # Pillow raises errors of ten types for what is no image.
        return False
    return True


def _is_path(value: Any) -> bool:
    """Whether a value is the name of an image file, by its ending."""
    if isinstance(value, bytes) and len(value) < _LONGEST_PATH:
        value = value.decode("utf-8", "replace")
    return isinstance(value, str) and len(value) < _LONGEST_PATH and value.strip().lower().endswith(ENDINGS)
