"""What the user's folders of images contain, for ``tfdl datasets show``. No TensorFlow is imported."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.config import DatasetConfig
from tfdl.data.files.description import FilesDescription, check_split
from tfdl.data.files.image_endings import ENDINGS
from tfdl.data.files.layout import Layout, PlacedFile, files_in_classes
from tfdl.data.files.paths import existing
from tfdl.data.files.split_assignment import SPLITS, SplitAssignment
from tfdl.data.files.tree import read_tree
from tfdl.data.labels import classes_of
from tfdl.errors import UserError


def has_images(path: Path) -> bool:
    """Whether a path is a folder with images in it.

    Args:
        path: a file or a folder.
    """
    return path.is_dir() and read_tree(path, ENDINGS).has_files


def describe_images(config: DatasetConfig) -> FilesDescription:
    """What a folder of images contains.

    Args:
        config: the path.

    Raises:
        UserError: no such folder.
    """
    layout = _layout(config)
    description = FilesDescription(
        name=config.name,
        kind="images in class folders",
        num_files=len(layout.files),
        num_bytes=sum(file.path.stat().st_size for file in layout.files),
        tasks={"image-classification": {"image": "image", "label": "label"}},
        notes=list(layout.notes),
    )
    classes = classes_of(str(file.class_name) for file in layout.files)
    description.notes += classes.notes
    for name in classes.names:
        description.classes[name] = dict.fromkeys(SPLITS, 0)
    description.splits = dict.fromkeys(SPLITS, 0)
    sizes = []
    num_unread = 0
    for file, split in _with_splits(layout):
        size = _size(file.path)
        if size is None:
            num_unread += 1
            continue
        sizes.append(size)
        description.splits[split] += 1
        description.classes[classes.names[classes.numbers[str(file.class_name)]]][split] += 1
    if num_unread:
        noun = "file" if num_unread == 1 else "files"
        description.notes.append(f"not an image, in spite of the ending: {num_unread:,} {noun}")
    if not description.splits["test"]:
        description.splits["test"] = description.splits["validation"]
        for counts in description.classes.values():
            counts["test"] = counts["validation"]
    description.sizes = _range(sizes)
    return description


def image_samples(config: DatasetConfig, split: str, count: int) -> list[dict[str, Any]]:
    """Images of a split, evenly spread over its files, with their class names.

    Args:
        config: the path.
        split: ``train``, ``validation`` or ``test``.
        count: most images.

    Raises:
        UserError: no such split, or no images.
    """
    check_split(split)
    files: dict[str, list[PlacedFile]] = {name: [] for name in SPLITS}
    for file, its_split in _with_splits(_layout(config)):
        if _size(file.path) is not None:
            files[its_split].append(file)
    chosen = files[split]
    if split == "test" and not chosen:
        chosen = files["validation"]
    if not chosen:
        raise UserError(f"dataset {config.name!r} has no images in the split {split!r}; choose another --split")
    count = min(count, len(chosen))
    spread = [chosen[number * len(chosen) // count] for number in range(count)]
    return [{"image": _pixels(file.path), "label": str(file.class_name)} for file in spread]


def _layout(config: DatasetConfig) -> Layout:
    return files_in_classes(read_tree(existing(config.name), ENDINGS))


def _with_splits(layout: Layout) -> Iterator[tuple[PlacedFile, str]]:
    assignment = SplitAssignment({file.split for file in layout.files})
    for file in layout.files:
        yield file, assignment.of_file(file.split) or assignment.of_sample(file.split, file.path.read_bytes())


def _size(path: Path) -> tuple[int, int] | None:
    """Height and width; ``None`` if the file is not an image."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _range(sizes: list[tuple[int, int]]) -> str:
    """Sizes as one text."""
    if not sizes:
        return ""
    smallest = min(sizes, key=lambda size: size[0] * size[1])
    largest = max(sizes, key=lambda size: size[0] * size[1])
    if len(set(sizes)) == 1:
        return f"{smallest[0]}x{smallest[1]} (height x width)"
    return f"{smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width); choose with --image-size"
