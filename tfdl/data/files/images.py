"""The user's images in class folders, as a data set."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.encoded_images import EncodedImages, ImageFiles
from tfdl.data.files.image_check import Seen, look_at
from tfdl.data.files.image_folders import (
    NoClassFoldersError,
    check_class_folders,
    check_images,
    check_size,
    class_of,
    image_assignment,
    places_by_split,
)
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

# Folder below the folder of prepared data sets; it keeps the results of checking images.
_MEMORY = "tfdl-images"


def open_image_folder(
    config: DatasetConfig, trained_names: Sequence[str] = (), rules_number: int = CURRENT_RULES
) -> ImageDataset:
    """Opens ``FOLDER/<class>/*.png``, or ``FOLDER/<split>/<class>/*.png`` where folders are named after splits.

    Every image is decoded once before the run begins, to check it. Images without a folder for their split are assigned
    by the hash of their bytes: 80% train, 10% validation, 10% test. So equal images share a split, and added images
    change the split of no other image. If ``config.stratified`` is set, each class is split by itself.

    Args:
        config: the folder, and how its images are read.
        trained_names: the classes of a run that has begun before.
        rules_number: the rules by which the run reads images (see ``image_rules``).

    Raises:
        UserError: no such folder, rules of a newer version, fewer than two classes, images that cannot be read (unless
            ``skip_bad_rows`` is set), or images of many sizes without ``image_size``.
    """
    refuse_split_names(config)
    layout = _find(config.name, image_rules(rules_number).endings)
    return open_image_files(layout, BadRows(config.skip_bad_rows), config, trained_names, rules_number)


def refuse_split_names(config: DatasetConfig) -> None:
    """Refuses splits of TFDS for the user's own images.

    Args:
        config: the data set.

    Raises:
        UserError: one of them is set.
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for your own images such as {config.name!r}, which are"
            " split by their folders' or files' names or by hash; leave them out"
        )


def open_image_files(
    layout: Layout, bad: BadRows, config: DatasetConfig, trained_names: Sequence[str], rules_number: int
) -> ImageDataset:
    """Opens image files whose classes are known.

    Args:
        layout: the files.
        bad: what is known to be wrong already; gets the files that cannot be read.
        config: the data set.
        trained_names: the classes of a run that has begun before.
        rules_number: the rules by which the run reads images.

    Raises:
        UserError: as ``open_image_folder``.
    """
    images = _readable(layout, config, rules_number, bad)
    bad.check()
    files = [file for file, _ in images]
    labels = list(map(class_of, files))
    named = [file.split for file in files]
    classes = classes_of(labels, trained_names, exact=config.exact_labels)
    content_numbers = [seen.number for _, seen in images]
    assignment = image_assignment(named, labels, content_numbers, classes, config.stratified)
    places = places_by_split(named, content_numbers, assignment)
    check_images(config.name, classes, places, bad, is_stratified=config.stratified)
    shape = _shape(images, config)
    if config.image_size is None and not trained_names:
        check_size(config.name, *shape[:2])
    numbers = [classes.numbers[label] for label in labels]
    counts = {split: Counter(numbers[place] for place in members) for split, members in places.items()}
    num_transparent = sum(seen.is_transparent for _, seen in images)
    num_turned = sum(seen.orientation != 1 for _, seen in images)
    by_content = frozenset() if config.stratified else assignment.splits_by_content
    notes = (
        *bad.notes,
        *layout.notes,
        *decoding_notes(num_transparent, num_turned, rules_number),
        *classes.notes,
        *unequal_classes_notes(classes.names, counts, by_content),
    )
    sources = _sources(images, numbers, places, shape, config)
    return ImageDataset(config.name, shape, classes.present_names, sources, notes)


def _find(name: str, endings: Sequence[str]) -> Layout:
    """The images in class folders."""
    folder = existing(name)
    if not folder.is_dir():
        # A single file is likely to hold texts.
        raise NoClassFoldersError(
            f"dataset {name!r} is a file, expected a folder with a folder of images for each of at least two classes;"
            " for texts, give --task text-classification, translation or language-modeling"
        )
    layout = files_in_classes(read_tree(folder, endings))
    check_class_folders(name, layout, endings)
    return layout


def _readable(layout: Layout, config: DatasetConfig, rules_number: int, bad: BadRows) -> list[tuple[PlacedFile, Seen]]:
    """The images that can be decoded; the others are noted as bad."""
    paths = [file.path for file in layout.files]
    results = look_at(paths, _memory_of(config, rules_number), image_rules(rules_number))
    images = []
    for file, seen in zip(layout.files, results, strict=True):
        if seen.error:
            bad.note(BadRow(file.path, None, seen.error))
        else:
            images.append((file, seen))
    return images


def _sources(
    images: Sequence[tuple[PlacedFile, Seen]],
    numbers: Sequence[int],
    places: Mapping[str, list[int]],
    shape: tuple[int, int, int],
    config: DatasetConfig,
) -> dict[str, Source]:
    """The source of each split; one source if validation serves as test split."""
    sources: dict[str, Source] = {}
    for split, members in places.items():
        if split == "test" and members == places["validation"]:
            sources[split] = sources["validation"]
            continue
        source = EncodedImages(
            ImageFiles([images[place][0].path for place in members]),
            [images[place][1].kind for place in members],
            [numbers[place] for place in members],
            shape,
            config.image_size,
        )
        sources[split] = in_memory_if_it_fits(source, config)
    return sources


def _shape(images: Sequence[tuple[PlacedFile, Seen]], config: DatasetConfig) -> tuple[int, int, int]:
    """The one shape of all images: grey if all of them are grey, with 3 channels otherwise."""
    height = width = None
    sizes = {seen.shape[:2] for _, seen in images}
    if len(sizes) == 1:
        height, width = sizes.pop()
    is_grey = all(seen.shape[2] == 1 for _, seen in images)
    channels = 1 if is_grey else 3
    return common_image_shape(config.name, (height, width, channels), config.image_size)


def decoding_notes(num_transparent: int, num_turned: int, rules_number: int) -> Iterator[str]:
    """Lines about images that a decoder alone would show otherwise.

    Args:
        num_transparent: images with transparency.
        num_turned: images with an EXIF orientation.
        rules_number: the rules by which the run reads images.
    """
    if rules_number == FIRST_RULES:
        yield "images are read as when this run began: EXIF orientation and transparency are ignored"
    if num_transparent:
        yield f"put on white: {num_transparent:,} {_noun(num_transparent)} with transparency"
    if num_turned:
        yield f"turned by EXIF orientation: {num_turned:,} {_noun(num_turned)}"


def _noun(count: int) -> str:
    return "image" if count == 1 else "images"


def _memory_of(config: DatasetConfig, rules_number: int) -> Path:
    """The file that keeps the results of checking this folder's images by these rules."""
    folder = Path(config.name).expanduser().absolute()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()
    return data_root(config.data_dir) / _MEMORY / f"{digest[:24]}-{rules_number}.json"
