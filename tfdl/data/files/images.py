"""The user's images in class folders, as a data set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.image_check import Seen, decode, look_at
from tfdl.data.files.paths import existing, files_below, split_of_name
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits, resize
from tfdl.data.sources import ShuffledSource, Source
from tfdl.data.tfds.catalog import data_root
from tfdl.errors import UserError

SPLITS = ("train", "validation", "test")
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Folder below the folder of prepared data sets; it keeps the results of checking images.
_MEMORY = "tfdl-images"


@dataclass(frozen=True)
class ImageFile:
    """Where an image is, and what its folders' names mean."""

    path: Path
    class_name: str
    split: str | None
    """The split that a folder is named after, if any."""


def open_image_folder(config: DatasetConfig) -> ImageDataset:
    """Opens ``FOLDER/<class>/*.png``, or ``FOLDER/<split>/<class>/*.png`` where folders are named after splits.

    Every image is decoded once before the run begins, to check it. Images without a folder for their split are assigned
    by the hash of their bytes: 80% train, 10% validation, 10% test. So equal images share a split, and added images
    change the split of no other image.

    Raises:
        UserError: no such folder, fewer than two classes, images that cannot be read (unless ``skip_bad_rows`` is set),
            or images of many sizes without ``image_size``.
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for a folder such as {config.name!r}, which is split by"
            " its folders' names or by hash; leave them out"
        )
    files = _find(existing(config.name), config.name)
    results = look_at([file.path for file in files], _memory_of(config))
    bad = BadRows(config.skip_bad_rows)
    images = []
    for file, seen in zip(files, results, strict=True):
        if seen.error:
            bad.note(BadRow(file.path, None, seen.error))
        else:
            images.append((file, seen))
    bad.check()
    if not images:
        raise UserError(f"dataset {config.name!r} has no images that can be read; the first: {bad.first[0]}")
    class_names = tuple(sorted({file.class_name for file, _ in images}))
    class_numbers = {name: number for number, name in enumerate(class_names)}
    shape = _shape(images, config)
    sources: dict[str, Source] = {}
    for split, members in _by_split(images).items():
        if not members:
            raise UserError(
                f"dataset {config.name!r} has {len(images)} images, of which none is for {split}; expected more images,"
                f" or a folder that is called {split}"
            )
        labels = [class_numbers[file.class_name] for file in members]
        source = FileImages([file.path for file in members], labels, shape, config.image_size)
        sources[split] = in_memory_if_it_fits(source, config)
    notes = (bad.report,) if bad.count else ()
    return ImageDataset(config.name, shape, class_names, sources, notes)


class FileImages(ShuffledSource):
    """Images that are decoded from their files at each reading.

    Args:
        paths: the files.
        labels: the class number of each.
        shape: height, width and channels of the images that ``read`` returns.
        size: height and width to resize to; ``None`` if all files have the size of ``shape``.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        shape: tuple[int, int, int],
        size: tuple[int, int] | None,
    ):
        self.num_examples = len(paths)
        self.signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
        self._shape = shape
        self._size = size
        with tf.device("CPU:0"):
            self._paths = tf.constant(list(map(str, paths)))
            self._labels = tf.constant(np.array(labels, np.int32))

    def read(self, indices: Any) -> dict[str, Any]:
        images = tf.map_fn(self._decoded, tf.gather(self._paths, indices), fn_output_signature=self.signature["image"])
        return {"image": images, "label": tf.gather(self._labels, indices)}

    def _decoded(self, path: Any) -> Any:
        image = decode(tf.io.read_file(path), self._shape[2])
        if self._size is not None:
            image = resize(image, self._size)
        return tf.ensure_shape(image, self._shape)


def _find(folder: Path, name: str) -> list[ImageFile]:
    """The images in class folders. Images at the top of the folder have no class and are left out."""
    files = []
    if folder.is_dir():
        for path in files_below(folder, _ENDINGS):
            folders = path.relative_to(folder).parts[:-1]
            if folders:
                files.append(_image_file(path, folders))
    num_classes = len({file.class_name for file in files})
    if num_classes < 2:
        raise UserError(
            f"dataset {name!r} has {num_classes} folders of images, expected a folder for each of at least two classes,"
            f" such as {Path(name) / 'cat'} and {Path(name) / 'dog'}, with images in it ({', '.join(_ENDINGS)})"
            f"{_advice_for_texts(folder)}"
        )
    return files


def _image_file(path: Path, folders: tuple[str, ...]) -> ImageFile:
    """``folders`` are the folders on the way to the file: the class, or the split and the class."""
    split = split_of_name(folders[0]) if len(folders) > 1 else None
    class_name = folders[0] if split is None else folders[1]
    return ImageFile(path, class_name, split)


def _advice_for_texts(path: Path) -> str:
    """A single file is likely to hold texts."""
    if path.is_dir():
        return ""
    return "; for texts, give --task text-classification, translation or language-modeling"


def _by_split(images: Sequence[tuple[ImageFile, Seen]]) -> dict[str, list[ImageFile]]:
    """The images of each split, by the folder that is named after a split, or by hash."""
    named = {file.split for file, _ in images}
    splits: dict[str, list[ImageFile]] = {split: [] for split in SPLITS}
    for file, seen in images:
        split = file.split or seen.split
        if file.split == "train" and "validation" not in named:
            # Validation images are held out of the training folder by hash; test images are not.
            split = "validation" if seen.split == "validation" else "train"
        splits[split].append(file)
    if not splits["test"]:
        splits["test"] = splits["validation"]
    return splits


def _shape(images: Sequence[tuple[ImageFile, Seen]], config: DatasetConfig) -> tuple[int, int, int]:
    """The one shape of all images: grey if all of them are grey, with 3 channels otherwise."""
    height = width = None
    sizes = {seen.shape[:2] for _, seen in images}
    if len(sizes) == 1:
        height, width = sizes.pop()
    is_grey = all(seen.shape[2] == 1 for _, seen in images)
    channels = 1 if is_grey else 3
    return common_image_shape(config.name, (height, width, channels), config.image_size)


def _memory_of(config: DatasetConfig) -> Path:
    """The file that keeps the results of checking this folder's images."""
    folder = str(Path(config.name).expanduser().absolute())
    digest = hashlib.sha256(folder.encode()).hexdigest()
    return data_root(config.data_dir) / _MEMORY / f"{digest[:24]}.json"
