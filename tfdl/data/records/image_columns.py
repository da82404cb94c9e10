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
# Files, and rows of each, that are looked at.
_NUM_FILES = 10
_NUM_ROWS = 5
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
    found = dict(_columns_with_images(pieces))
    chosen = config.image_column
    if chosen is not None:
        if chosen not in found:
            raise _not_an_image(chosen, list(_names(pieces)), config)
        return ImageColumn(chosen, found[chosen])
    contents = [name for name, is_path in found.items() if not is_path]
    candidates = contents or list(found)
    if len(candidates) > 1 and IMAGE in candidates:
        candidates = [IMAGE]
    if len(candidates) > 1:
        raise UserError(
            f"which column of {config.name} is the image? It has {shown(candidates)}; choose with --image-column NAME"
        )
    return ImageColumn(candidates[0], found[candidates[0]]) if candidates else None


def _not_an_image(chosen: str, known: Sequence[str], config: DatasetConfig) -> UserError:
    facts = "has no images" if chosen in known else f"is none of {shown(known)}"
    return UserError(
        f"--image-column {chosen!r} of {config.name!r} {facts}, expected a column of image files (JPEG, PNG, ...) or of"
        f" their paths.{nearest(chosen, known) if chosen not in known else ''}"
    )


def _columns_with_images(pieces: Sequence[Piece]) -> Iterator[tuple[str, bool]]:
    """Each column whose first value is an image, and whether that is a path."""
    seen: set[str] = set()
    for piece in pieces[:_NUM_FILES]:
        for row in itertools.islice(_rows(piece), _NUM_ROWS):
            for name, value in row.items():
                if name in seen:
                    continue
                if isinstance(value, bytes) and _is_image(value):
                    seen.add(name)
                    yield name, False
                elif _is_path(value):
                    seen.add(name)
                    yield name, True


def _names(pieces: Sequence[Piece]) -> dict[str, None]:
    names: dict[str, None] = {}  # a set in the order of insertion
    for piece in pieces[:_NUM_FILES]:
        for row in itertools.islice(_rows(piece), _NUM_ROWS):
            names.update(dict.fromkeys(row))
    return names


def _rows(piece: Piece) -> Iterator[Mapping[str, Any]]:
    """Rows with their values as they are stored."""
    if ending_of(piece.path) in RECORD_ENDINGS:
        yield from (row[1] for row in open_records(piece.path).rows() if not isinstance(row, BadRow))
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
