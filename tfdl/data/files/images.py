"""The user's images in class folders, as a data set."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows, printable
from tfdl.data.files.file_images import FileImages
from tfdl.data.files.image_check import Seen, look_at
from tfdl.data.files.image_rules import image_rules
from tfdl.data.files.layout import Layout, PlacedFile, files_in_classes
from tfdl.data.files.paths import existing
from tfdl.data.files.tree import read_tree
from tfdl.data.images import (
    CURRENT_RULES,
    FIRST_RULES,
    ImageDataset,
    common_image_shape,
    in_memory_if_it_fits,
)
from tfdl.data.labels import classes_of, unequal_classes_notes
from tfdl.data.sources import Source
from tfdl.data.tfds.catalog import data_root
from tfdl.errors import UserError

SPLITS = ("train", "validation", "test")
# Folder below the folder of prepared data sets; it keeps the results of checking images.
_MEMORY = "tfdl-images"


def open_image_folder(
    config: DatasetConfig, trained_names: Sequence[str] = (), rules_number: int = CURRENT_RULES
) -> ImageDataset:
    """Opens ``FOLDER/<class>/*.png``, or ``FOLDER/<split>/<class>/*.png`` where folders are named after splits.

    Every image is decoded once before the run begins, to check it. Images without a folder for their split are assigned
    by the hash of their bytes: 80% train, 10% validation, 10% test. So equal images share a split, and added images
    change the split of no other image.

    Args:
        config: the folder, and how its images are read.
        trained_names: the classes of a run that has begun before.
        rules_number: the rules by which the run reads images (see ``image_rules``).

    Raises:
        UserError: no such folder, rules of a newer version, fewer than two classes, images that cannot be read (unless
            ``skip_bad_rows`` is set), or images of many sizes without ``image_size``.
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for a folder such as {config.name!r}, which is split by"
            " its folders' names or by hash; leave them out"
        )
    rules = image_rules(rules_number)
    layout = _find(existing(config.name), config.name, rules.endings)
    results = look_at([file.path for file in layout.files], _memory_of(config, rules_number), rules)
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
        labels = [classes.numbers[str(file.class_name)] for file, _ in members]
        counts[split] = Counter(labels)
        source = FileImages(
            [file.path for file, _ in members],
            [seen.kind for _, seen in members],
            labels,
            shape,
            config.image_size,
        )
        sources[split] = in_memory_if_it_fits(source, config)
    notes = (
        *bad.notes,
        *layout.notes,
        *_decoding_notes([seen for _, seen in images], rules_number),
        *classes.notes,
        *unequal_classes_notes(classes.names, counts),
    )
    return ImageDataset(config.name, shape, classes.present_names, sources, notes)


def _find(folder: Path, name: str, endings: Sequence[str]) -> Layout:
    """The images in class folders."""
    layout = files_in_classes(read_tree(folder, endings)) if folder.is_dir() else Layout()
    num_classes = len({file.class_name for file in layout.files})
    if num_classes < 2:
        noun = "folder" if num_classes == 1 else "folders"
        left_out = "".join(f"; {note}" for note in layout.notes)
        raise UserError(
            f"dataset {name!r} has {num_classes} {noun} of images, expected a folder for each of at least two classes,"
            f" such as {printable(Path(name, 'cat'))} and {printable(Path(name, 'dog'))}, with images in it"
            f" ({', '.join(endings)})"
            f"{left_out}{_advice_for_texts(folder)}"
        )
    return layout


def _advice_for_texts(path: Path) -> str:
    """A single file is likely to hold texts."""
    if path.is_dir():
        return ""
    return "; for texts, give --task text-classification, translation or language-modeling"


def _by_split(images: Sequence[tuple[PlacedFile, Seen]]) -> dict[str, list[tuple[PlacedFile, Seen]]]:
    """The images of each split, by the folder that is named after a split, or by hash."""
    named = {file.split for file, _ in images}
    splits: dict[str, list[tuple[PlacedFile, Seen]]] = {split: [] for split in SPLITS}
    for file, seen in images:
        split = file.split or seen.split
        if file.split == "train" and "validation" not in named:
            # Validation images are held out of the training folder by hash; test images are not.
            split = "validation" if seen.split == "validation" else "train"
        splits[split].append((file, seen))
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


def _decoding_notes(images: Sequence[Seen], rules_number: int) -> Iterator[str]:
    """Lines about images that a decoder alone would show otherwise."""
    if rules_number == FIRST_RULES:
        yield "images are read as when this run began: EXIF orientation and transparency are ignored"
    num_transparent = sum(seen.is_transparent for seen in images)
    if num_transparent:
        yield f"put on white: {num_transparent:,} {_noun(num_transparent)} with transparency"
    num_turned = sum(seen.orientation != 1 for seen in images)
    if num_turned:
        yield f"turned by EXIF orientation: {num_turned:,} {_noun(num_turned)}"


def _noun(count: int) -> str:
    return "image" if count == 1 else "images"


def _memory_of(config: DatasetConfig, rules_number: int) -> Path:
    """The file that keeps the results of checking this folder's images by these rules."""
    folder = Path(config.name).expanduser().absolute()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()
    return data_root(config.data_dir) / _MEMORY / f"{digest[:24]}-{rules_number}.json"
