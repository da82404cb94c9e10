"""The user's images in rows, as a data set: in Parquet, TFRecord or ArrayRecord files, or as paths in any rows."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRows
from tfdl.data.files.encoded_images import EncodedImages
from tfdl.data.files.image_decoding import Kind, Way
from tfdl.data.files.image_folders import check_images, check_size
from tfdl.data.files.images import decoding_notes, open_image_files, refuse_split_names
from tfdl.data.files.split_assignment import SplitAssignment
from tfdl.data.files.stratification import ClassNumbers, StratifiedSplits
from tfdl.data.hash_split import SPLITS
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits
from tfdl.data.labels import Classes, classes_of, unequal_classes_notes
from tfdl.data.records.image_records import CheckedRecords
from tfdl.data.records.image_rows import find_rows_of_images
from tfdl.data.records.listed_images import listed_images
from tfdl.data.sources import Source


def open_image_rows(config: DatasetConfig, trained_names: Sequence[str], rules_number: int) -> ImageDataset | None:
    """Opens a file of rows, or a folder of them, in which each row has an image and its label.

    Args:
        config: the path, and which columns are the image and the label.
        trained_names: the classes of a run that has begun before.
        rules_number: the rules by which the run reads images.

    Returns:
        The data set; ``None`` if there are no files of rows, or none with images.

    Raises:
        UserError: columns that cannot be used, bad rows (unless ``skip_bad_rows`` is set), one class, images of many
            sizes without ``image_size``, or no space to convert them.
    """
    found = find_rows_of_images(config)
    if found is None:
        return None
    pieces, column = found
    refuse_split_names(config)
    if column.is_path:
        bad = BadRows(config.skip_bad_rows)
        layout = listed_images(pieces, column, config, bad)
        return open_image_files(layout, bad, config, trained_names, rules_number)
    records = CheckedRecords(pieces, column, config, rules_number)
    records.bad.check()
    return _dataset(records, config, trained_names, rules_number)


def _dataset(
    records: CheckedRecords, config: DatasetConfig, trained_names: Sequence[str], rules_number: int
) -> ImageDataset:
    """The data set of images whose contents are in records."""
    classes = classes_of(set(records.labels), trained_names, exact=config.exact_labels)
    numbers = np.array([classes.numbers[label] for label in records.labels], np.int32)[records.label_places]
    assignment = _assignment(records, classes, config)
    places = _places_by_split(records, assignment)
    lists = {split: members.tolist() for split, members in places.items()}
    check_images(config.name, classes, lists, records.bad, is_stratified=config.stratified)
    counts = {split: Counter(numbers[members].tolist()) for split, members in places.items()}
    by_content = frozenset() if config.stratified else assignment.splits_by_content
    num_transparent = int(records.fact("is_transparent").sum())
    num_turned = int((records.fact("orientations") != 1).sum())
    notes = (
        *records.bad.notes,
        *records.notes,
        *decoding_notes(num_transparent, num_turned, rules_number),
        *classes.notes,
        *unequal_classes_notes(classes.names, counts, by_content),
    )
    shape = _shape(records, config)
    if config.image_size is None and not trained_names:
        check_size(config.name, *shape[:2])
    sources = _sources(records, numbers, places, shape, config)
    return ImageDataset(config.name, shape, classes.present_names, sources, notes)


def _assignment(records: CheckedRecords, classes: Classes, config: DatasetConfig) -> SplitAssignment:
    """What decides the split of each record."""
    assignment = SplitAssignment(set(records.splits))
    if not config.stratified:
        return assignment
    names = [classes.name_of_label[label] for label in records.labels]
    to_split = ClassNumbers()
    for file_number, place, number in zip(
        records.file_numbers.tolist(), records.label_places.tolist(), records.fact("hashes").tolist(), strict=True
    ):
        named = records.splits[file_number]
        if assignment.of_file(named) is None:
            to_split.add(names[place], number, is_for_training=named == "train")
    return assignment.by(StratifiedSplits(to_split).of_number)


def _places_by_split(records: CheckedRecords, assignment: SplitAssignment) -> dict[str, np.ndarray]:
    """The records of each split. Without records for testing, the validation split serves as test split."""
    hashes = records.fact("hashes").tolist()
    splits = [
        SPLITS.index(assignment.of_number(records.splits[file_number], number))
        for file_number, number in zip(records.file_numbers.tolist(), hashes, strict=True)
    ]
    places = {split: np.flatnonzero(np.array(splits) == number) for number, split in enumerate(SPLITS)}
    if not len(places["test"]):
        places["test"] = places["validation"]
    return places


def _shape(records: CheckedRecords, config: DatasetConfig) -> tuple[int, int, int]:
    """The one shape of all images: grey if all of them are grey, with 3 channels otherwise."""
    shapes = records.fact("shapes")  # (n, 3)
    height = width = None
    if bool((shapes[:, :2] == shapes[0, :2]).all()):
        height, width = map(int, shapes[0, :2])
    is_grey = bool((shapes[:, 2] == 1).all())
    return common_image_shape(config.name, (height, width, 1 if is_grey else 3), config.image_size)


def _sources(
    records: CheckedRecords,
    class_numbers: np.ndarray,
    places: Mapping[str, np.ndarray],
    shape: tuple[int, int, int],
    config: DatasetConfig,
) -> dict[str, Source]:
    """The source of each split; one source if validation serves as test split."""
    kinds = _kinds(records)
    sources: dict[str, Source] = {}
    for split, members in places.items():
        if split == "test" and members is places["validation"]:
            sources[split] = sources["validation"]
            continue
        source = EncodedImages(
            records.contents(members),
            [kinds[member] for member in members.tolist()],
            class_numbers[members],
            shape,
            config.image_size,
        )
        sources[split] = in_memory_if_it_fits(source, config)
    return sources


def _kinds(records: CheckedRecords) -> list[Kind]:
    """How each record is decoded; equal kinds are one object, since there are few kinds and may be many records."""
    pairs = list(zip(records.fact("ways").tolist(), records.fact("orientations").tolist(), strict=True))
    known = {pair: Kind(Way(pair[0]), pair[1]) for pair in set(pairs)}
    return [known[pair] for pair in pairs]
