"""The user's images in class folders, as a data set."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.image_check import Seen, decode, look_at
from tfdl.data.files.layout import Layout, PlacedFile, files_in_classes
from tfdl.data.files.paths import existing
from tfdl.data.files.tree import read_tree
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits, resize
from tfdl.data.labels import classes_of, unequal_classes_notes
from tfdl.data.sources import ShuffledSource, Source
from tfdl.data.tfds.catalog import data_root
from tfdl.errors import UserError

SPLITS = ("train", "validation", "test")
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Folder below the folder of prepared data sets; it keeps the results of checking images.
_MEMORY = "tfdl-images"


def open_image_folder(config: DatasetConfig, trained_names: Sequence[str] = ()) -> ImageDataset:
    """Opens ``FOLDER/<class>/*.png``, or ``FOLDER/<split>/<class>/*.png`` where folders are named after splits.

    Every image is decoded once before the run begins, to check it. Images without a folder for their split are assigned
    by the hash of their bytes: 80% train, 10% validation, 10% test. So equal images share a split, and added images
    change the split of no other image.

    Args:
        config: the folder, and how its images are read.
        trained_names: the classes of a run that has begun before.

    Raises:
        UserError: no such folder, fewer than two classes, images that cannot be read (unless ``skip_bad_rows`` is set),
            or images of many sizes without ``image_size``.
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for a folder such as {config.name!r}, which is split by"
            " its folders' names or by hash; leave them out"
        )
    layout = _find(existing(config.name), config.name)
    results = look_at([file.path for file in layout.files], _memory_of(config))
    bad = BadRows(config.skip_bad_rows)
    images = []
    for file, seen in zip(layout.files, results, strict=True):
        if seen.error:
            bad.note(BadRow(file.path, None, seen.error))
        else:
            images.append((file, seen))
    bad.check()
    if not images:
        raise UserError(f"dataset {config.name!r} has no images that can be read; the first: {bad.first[0]}")
    classes = classes_of((str(file.class_name) for file, _ in images), trained_names)
    if len(classes.present_names) < 2:
        raise UserError(
            f"dataset {config.name!r} has images that can be read in the class {classes.present_names[0]!r} alone,"
            f" expected at least two classes; {bad.report}"
        )
    shape = _shape(images, config)
    sources: dict[str, Source] = {}
    counts: dict[str, Counter[int]] = {}
    by_split = _by_split(images)
    for split, members in by_split.items():
        if split == "test" and members is by_split["validation"]:
            sources[split] = sources["validation"]
            counts[split] = counts["validation"]
            continue
        if not members:
            raise UserError(
                f"dataset {config.name!r} has {len(images)} images, of which none is for {split}; expected more images,"
                f" or a folder that is called {split}"
            )
        labels = [classes.numbers[str(file.class_name)] for file in members]
        counts[split] = Counter(labels)
        source = FileImages([file.path for file in members], labels, shape, config.image_size)
        sources[split] = in_memory_if_it_fits(source, config)
    notes = (*bad.notes, *layout.notes, *classes.notes, *unequal_classes_notes(classes.names, counts))
    return ImageDataset(config.name, shape, classes.present_names, sources, notes)


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
            # Bytes: a name may hold bytes that are not UTF-8.
            self._paths = tf.constant(list(map(os.fsencode, paths)))
            self._labels = tf.constant(np.array(labels, np.int32))

    def read(self, indices: Any) -> dict[str, Any]:
        images = tf.map_fn(self._decoded, tf.gather(self._paths, indices), fn_output_signature=self.signature["image"])
        return {"image": images, "label": tf.gather(self._labels, indices)}

    def _decoded(self, path: Any) -> Any:
        image = decode(tf.io.read_file(path), self._shape[2])
        if self._size is not None:
            image = resize(image, self._size)
        return tf.ensure_shape(image, self._shape)


def _find(folder: Path, name: str) -> Layout:
    """The images in class folders."""
    layout = files_in_classes(read_tree(folder, _ENDINGS)) if folder.is_dir() else Layout()
    num_classes = len({file.class_name for file in layout.files})
    if num_classes < 2:
        noun = "folder" if num_classes == 1 else "folders"
        left_out = "".join(f"; {note}" for note in layout.notes)
        raise UserError(
            f"dataset {name!r} has {num_classes} {noun} of images, expected a folder for each of at least two classes,"
            f" such as {Path(name) / 'cat'} and {Path(name) / 'dog'}, with images in it ({', '.join(_ENDINGS)})"
            f"{left_out}{_advice_for_texts(folder)}"
        )
    return layout


def _advice_for_texts(path: Path) -> str:
    """A single file is likely to hold texts."""
    if path.is_dir():
        return ""
    return "; for texts, give --task text-classification, translation or language-modeling"


def _by_split(images: Sequence[tuple[PlacedFile, Seen]]) -> dict[str, list[PlacedFile]]:
    """The images of each split, by the folder that is named after a split, or by hash."""
    named = {file.split for file, _ in images}
    splits: dict[str, list[PlacedFile]] = {split: [] for split in SPLITS}
    for file, seen in images:
        split = file.split or seen.split
        if file.split == "train" and "validation" not in named:
            # Validation images are held out of the training folder by hash; test images are not.
            split = "validation" if seen.split == "validation" else "train"
        splits[split].append(file)
    if not splits["test"]:
        splits["test"] = splits["validation"]
    return splits


def _shape(images: Sequence[tuple[PlacedFile, Seen]], config: DatasetConfig) -> tuple[int, int, int]:
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
    folder = Path(config.name).expanduser().absolute()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()
    return data_root(config.data_dir) / _MEMORY / f"{digest[:24]}.json"
