"""What the user's folders of images contain, for ``tfdl datasets show``. No TensorFlow is imported."""

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tfdl.config import DatasetConfig
from tfdl.data.files import pillow_images
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.description import FilesDescription
from tfdl.data.files.image_endings import ENDINGS
from tfdl.data.files.image_folders import (
    MOST_PIXELS,
    NoClassFoldersError,
    check_class_folders,
    check_images,
    class_of,
    image_assignment,
    places_by_split,
)
from tfdl.data.files.layout import Layout, PlacedFile
from tfdl.data.hash_split import SPLITS, content_number
from tfdl.data.labels import Classes, classes_of, unequal_classes_notes
from tfdl.data.texts import VALIDATION_IS_TEST
from tfdl.errors import UserError

CLASS_FOLDERS = "images in class folders"


class DescribedImages:
    """What a folder of images contains. Each file is read and decoded once.

    Args:
        config: the path.
        layout: the images in it, and their classes.
        kind: what the files are.
        bad: what is known to be wrong with them already.
    """

    def __init__(self, config: DatasetConfig, layout: Layout, kind: str = CLASS_FOLDERS, bad: BadRows | None = None):
        looked = _look_at([file.path for file in layout.files])
        bad = bad or BadRows(skip=True)
        found: list[tuple[PlacedFile, Looked]] = []
        for file, seen in zip(layout.files, looked, strict=True):
            if seen.error:
                bad.note(BadRow(file.path, None, seen.error))
            else:
                found.append((file, seen))
        self._name = config.name
        self._files = [file for file, _ in found]
        labels = list(map(class_of, self._files))
        named = [file.split for file in self._files]
        classes = classes_of(labels, exact=config.exact_labels)
        numbers = [seen.number for _, seen in found]
        assignment = image_assignment(named, labels, numbers, classes, config.stratified)
        self._places = places_by_split(named, numbers, assignment)
        self.description = FilesDescription(
            name=config.name,
            kind=kind,
            num_files=len(looked),
            num_bytes=sum(seen.num_bytes for seen in looked),
            splits={split: len(places) for split, places in self._places.items()},
            sizes=sizes_in_words([seen.size for _, seen in found]),
            notes=[*bad.notes, *layout.notes, *classes.notes],
        )
        by_content = frozenset() if config.stratified else assignment.splits_by_content
        add_classes(self.description, self._files, classes, self._places, by_content)
        self.description.note_bad_rows(bad.count)
        try:
            if kind == CLASS_FOLDERS:
                check_class_folders(config.name, layout, ENDINGS)
            check_images(config.name, classes, self._places, bad, is_stratified=config.stratified)
        except NoClassFoldersError as error:  # its message has the other notes
            self.description.notes = [str(error)]
        except UserError as error:
            self.description.notes.append(str(error))
        else:
            self.description.tasks = {"image-classification": {"image": "image", "label": "label"}}

    def samples(self, split: str, count: int) -> list[dict[str, Any]]:
        """Images of a split, evenly spread over its files, with their class names.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: most images.

        Raises:
            UserError: no images.
        """
        places = self._places[split]
        if not places:
            raise UserError(f"dataset {self._name!r} has no images in the split {split!r}; choose another --split")
        count = min(count, len(places))
        spread = [self._files[places[number * len(places) // count]] for number in range(count)]
        with without_warnings():
            return [{"image": _as_shown(file.path), "label": class_of(file)} for file in spread]


def add_classes(
    description: FilesDescription,
    files: Sequence[PlacedFile],
    classes: Classes,
    places: Mapping[str, Sequence[int]],
    by_content: Collection[str],
) -> None:
    """Adds the images of each class and split to a description, and lines about splits that lack any.

    Args:
        description: to be completed.
        files: the images.
        classes: of the images.
        places: of the images of each split, in ``files``.
        by_content: see ``unequal_classes_notes``.
    """
    counts = {
        split: Counter(classes.numbers[class_of(files[place])] for place in members)
        for split, members in places.items()
    }
    for number, name in enumerate(classes.names):
        description.classes[name] = {split: counts[split][number] for split in SPLITS}
    if all(places[split] for split in SPLITS):
        description.notes += unequal_classes_notes(classes.names, counts, by_content)
        if places["test"] is places["validation"]:
            description.notes.append(VALIDATION_IS_TEST)


@dataclass(frozen=True)
class Looked:
    """What decoding found in a file."""

    num_bytes: int = 0
    size: tuple[int, int] = (0, 0)
    """Height and width, as the image is shown."""
    number: int = 0
    """The ``content_number`` of the file's bytes."""
    error: str = ""
    """Why the file is not an image; empty if it is one."""


def _look_at(paths: Sequence[Path]) -> list[Looked]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers, without_warnings():
        return list(workers.map(_look, paths))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Hides Pillow's warnings, such as of damaged EXIF in an image that can be read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _look(path: Path) -> Looked:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Looked(error=f"cannot be opened ({error.strerror})")
    return look_at_content(data)


def look_at_content(data: bytes) -> Looked:
    """Decodes an image.

    Args:
        data: the content of its file.
    """
    if not data:
        return Looked(error="empty")
    try:
        size = _decoded_size(data)
    except Exception as error:
        # Damaged files fail in many ways: Pillow raises errors of ten types.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return Looked(len(data), error=f"not an image that can be read ({reason.rstrip('.')})")
    return Looked(len(data), size, content_number(data))


def _decoded_size(data: bytes) -> tuple[int, int]:
    """Height and width of an image, which is decoded to find damage."""
    image = pillow_images.open_image(data)
    width, height = image.size
    with pillow_images.one_large_at_a_time(image):
        is_sideways = pillow_images.orientation(image, data) in pillow_images.SIDEWAYS
        if image.format == "JPEG":
            # An eighth of the size is decoded in a fraction of the time.
            image.draft(None, (width // 8, height // 8))
            image.load()
        else:
            pillow_images.pixels(data, 3)
    return (width, height) if is_sideways else (height, width)


def _as_shown(path: Path) -> np.ndarray:
    try:
        return as_shown(path.read_bytes())
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} is not an image that can be read ({error}); leave it out") from error


def as_shown(data: bytes) -> np.ndarray:
    """The pixels as training reads them: upright, on white.

    Args:
        data: the content of an image's file.

    Returns:
        uint8 ``(h, w, 3)``.
    """
    orientation = pillow_images.orientation(pillow_images.open_image(data), data)
    stored = Image.fromarray(pillow_images.pixels(data, 3))
    stored.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(stored))


def sizes_in_words(sizes: Sequence[tuple[int, int]]) -> str:
    """Heights and widths as one text.

    Args:
        sizes: of the images.
    """
    if not sizes:
        return ""
    smallest = min(sizes, key=lambda size: size[0] * size[1])
    largest = max(sizes, key=lambda size: size[0] * size[1])
    if len(set(sizes)) == 1:
        advice = "; choose with --image-size" if smallest[0] * smallest[1] > MOST_PIXELS else ""
        return f"{smallest[0]}x{smallest[1]} (height x width){advice}"
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width); choose with --image-size"
