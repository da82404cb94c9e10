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
# Below the folder of prepared data.
_MEMORY = "tfdl-images"


@dataclass(frozen=True)
class ImageFile:
    """Where an image is, and what its folders say of it."""

    path: Path
    class_name: str
    split: str | None


def open_image_folder(config: DatasetConfig) -> ImageDataset:
    """Opens ``FOLDER/<class>/*.png``, or ``FOLDER/<split>/<class>/*.png`` where folders are called after splits.

    Every image is looked at before the run begins. Images that no folder puts into a split are dealt out by the hash of
    their bytes, 80, 10 and 10 of a hundred: equal images share a split, and added ones move none.

    Raises:
        UserError: no such folder, no classes, images that cannot be read (unless they are to be skipped), or of many
            sizes without ``image_size``.
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for a folder such as {config.name!r}, which is split by"
            " its folders' names or by hash; leave them out"
        )
    files = _find(existing(config.name), config.name)
    found = look_at([file.path for file in files], _memory_of(config))
    bad = BadRows(config.skip_bad_rows)
    for file, seen in zip(files, found, strict=True):
        if seen.error:
            bad.note(BadRow(file.path, None, seen.error))
    bad.check()
    good = [(file, seen) for file, seen in zip(files, found, strict=True) if not seen.error]
    names = tuple(sorted({file.class_name for file, _ in good}))
    shape = _shape(good, config)
    sources: dict[str, Source] = {}
    for split, members in _dealt(good).items():
        if not members:
            raise UserError(
                f"dataset {config.name!r} has {len(good)} images, of which none is for {split}; expected more images,"
                f" or a folder that is called {split}"
            )
        labels = [names.index(file.class_name) for file in members]
        source = FileImages([file.path for file in members], labels, shape, config.image_size)
        sources[split] = in_memory_if_it_fits(source, config)
    return ImageDataset(config.name, shape, names, sources, (bad.report,) if bad.count else ())


class FileImages(ShuffledSource):
    """Images decoded from their files at each reading."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        shape: tuple[int, int, int],
        size: tuple[int, int] | None,
    ):
        self.num_examples = len(paths)
        self.signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec((), tf.int32)}
        self._shape, self._size = shape, size
        with tf.device("CPU:0"):
            self._paths = tf.constant(list(map(str, paths)))
            self._labels = tf.constant(np.array(labels, np.int32))

    def read(self, indices: Any) -> dict[str, Any]:
        images = tf.map_fn(self._decoded, tf.gather(self._paths, indices), fn_output_signature=self.signature["image"])
        return {"image": images, "label": tf.gather(self._labels, indices)}

    def _decoded(self, path: Any) -> Any:
        image = decode(tf.io.read_file(path), self._shape[2])
        return tf.ensure_shape(image if self._size is None else resize(image, self._size), self._shape)


def _find(folder: Path, name: str) -> list[ImageFile]:
    found = []
    for path in files_below(folder, _ENDINGS) if folder.is_dir() else []:
        outer = path.relative_to(folder).parts[:-1]
        split = split_of_name(outer[0]) if len(outer) > 1 else None
        if outer:
            found.append(ImageFile(path, outer[0] if split is None else outer[1], split))
    classes = len({file.class_name for file in found})
    if classes < 2:
        raise UserError(
            f"dataset {name!r} has {classes} folders of images, expected a folder for each of at least two classes,"
            f" such as {Path(name) / 'cat'} and {Path(name) / 'dog'}, with images in it ({', '.join(_ENDINGS)})"
            + (
                ""
                if folder.is_dir()
                else "; for texts, give --task text-classification, translation or language-modeling"
            )
        )
    return found


def _dealt(images: Sequence[tuple[ImageFile, Seen]]) -> dict[str, list[ImageFile]]:
    named = {file.split for file, _ in images}
    splits: dict[str, list[ImageFile]] = {split: [] for split in SPLITS}
    for file, seen in images:
        split = file.split or seen.split
        if file.split == "train" and "validation" not in named:
            split = "train" if seen.split == "test" else seen.split
        splits[split].append(file)
    splits["test"] = splits["test"] or splits["validation"]
    return splits


def _shape(images: Sequence[tuple[ImageFile, Seen]], config: DatasetConfig) -> tuple[int, int, int]:
    """The set's one shape; without colours where no image has them."""
    sizes = {seen.shape[:2] for _, seen in images}
    height, width = next(iter(sizes)) if len(sizes) == 1 else (None, None)
    channels = 1 if all(seen.shape[2] == 1 for _, seen in images) else 3
    return common_image_shape(config.name, (height, width, channels), config.image_size)


def _memory_of(config: DatasetConfig) -> Path:
    folder = str(Path(config.name).expanduser().absolute())
    return data_root(config.data_dir) / _MEMORY / f"{hashlib.sha256(folder.encode()).hexdigest()[:24]}.json"
