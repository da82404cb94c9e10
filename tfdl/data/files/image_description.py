"""What the user's folders of images contain, for ``tfdl datasets show``. No TensorFlow is imported."""

import os
import warnings
from collections.abc import Iterator, Sequence
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
    places_by_split,
)
from tfdl.data.files.layout import PlacedFile, files_in_classes
from tfdl.data.files.tree import Folder
from tfdl.data.hash_split import SPLITS, hash_split
from tfdl.data.labels import Classes, classes_of
from tfdl.errors import UserError


class DescribedImages:
    """What a folder of images contains. Each file is read and decoded once.

    Args:
        config: the path.
        tree: the images in it.
    """

    def __init__(self, config: DatasetConfig, tree: Folder):
        layout = files_in_classes(tree)
        looked = _look_at([file.path for file in layout.files])
        bad = BadRows(skip=True)
        found: list[tuple[PlacedFile, _Looked]] = []
        for file, seen in zip(layout.files, looked, strict=True):
            if seen.error:
                bad.note(BadRow(file.path, None, seen.error))
            else:
                found.append((file, seen))
        self._name = config.name
        self._files = [file for file, _ in found]
        self._places = places_by_split(self._files, [seen.split for _, seen in found])
        classes = classes_of(map(_class_of, self._files))
        self.description = FilesDescription(
            name=config.name,
            kind="images in class folders",
            num_files=len(looked),
            num_bytes=sum(seen.num_bytes for seen in looked),
            splits={split: len(places) for split, places in self._places.items()},
            sizes=_range([seen.size for _, seen in found]),
            notes=[*bad.notes, *layout.notes, *classes.notes],
        )
        self._count_classes(classes)
        self.description.note_bad_rows(bad.count)
        try:
            check_class_folders(config.name, layout, ENDINGS)
            check_images(config.name, classes, self._places, bad)
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
        with _without_warnings():
            return [{"image": _as_shown(file.path), "label": _class_of(file)} for file in spread]

    def _count_classes(self, classes: Classes) -> None:
        for name in classes.names:
            self.description.classes[name] = dict.fromkeys(SPLITS, 0)
        for split, places in self._places.items():
            for place in places:
                name = classes.names[classes.numbers[_class_of(self._files[place])]]
                self.description.classes[name][split] += 1


@dataclass(frozen=True)
class _Looked:
    """What decoding found in a file."""

    num_bytes: int = 0
    size: tuple[int, int] = (0, 0)
    """Height and width, as the image is shown."""
    split: str = ""
    """By the hash of the file's bytes."""
    error: str = ""
    """Why the file is not an image; empty if it is one."""


def _look_at(paths: Sequence[Path]) -> list[_Looked]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers, _without_warnings():
        return list(workers.map(_look, paths))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides Pillow's warnings, such as of damaged EXIF in an image that can be read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _look(path: Path) -> _Looked:
    try:
        data = path.read_bytes()
    except OSError as error:
        return _Looked(error=f"cannot be opened ({error.strerror})")
    if not data:
        return _Looked(error="empty")
    try:
        size = _decoded_size(data)
    except Exception as error:
        # Damaged files fail in many ways: Pillow raises errors of ten types.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return _Looked(len(data), error=f"not an image that can be read ({reason.rstrip('.')})")
    return _Looked(len(data), size, hash_split(data))


def _decoded_size(data: bytes) -> tuple[int, int]:
    """Height and width of an image, which is decoded to find damage."""
    image = pillow_images.open_image(data)
    is_sideways = pillow_images.orientation(image, data) in pillow_images.SIDEWAYS
    width, height = image.size
    if image.format == "JPEG":
        # An eighth of the size is decoded in a fraction of the time.
        image.draft(None, (width // 8, height // 8))
        image.load()
    else:
        pillow_images.pixels(data, 3)
    return (width, height) if is_sideways else (height, width)


def _as_shown(path: Path) -> np.ndarray:
    """The pixels as training reads them: upright, on white."""
    try:
        data = path.read_bytes()
        orientation = pillow_images.orientation(pillow_images.open_image(data), data)
        stored = Image.fromarray(pillow_images.pixels(data, 3))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path} is not an image that can be read ({error}); leave it out") from error
    stored.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(stored))


def _class_of(file: PlacedFile) -> str:
    return str(file.class_name)


def _range(sizes: list[tuple[int, int]]) -> str:
    """Sizes as one text."""
    if not sizes:
        return ""
    smallest = min(sizes, key=lambda size: size[0] * size[1])
    largest = max(sizes, key=lambda size: size[0] * size[1])
    if len(set(sizes)) == 1:
        advice = "; choose with --image-size" if smallest[0] * smallest[1] > MOST_PIXELS else ""
        return f"{smallest[0]}x{smallest[1]} (height x width){advice}"
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width); choose with --image-size"
