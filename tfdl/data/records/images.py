"""The user's images in rows, as a data set: in Parquet, TFRecord or ArrayRecord files, or as paths in any rows."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRows
from tfdl.data.files.encoded_images import EncodedImages
from tfdl.data.files.image_decoding import Kind, Way
from tfdl.data.files.image_folders import check_images, check_size, image_assignment, places_by_split
from tfdl.data.files.images import decoding_notes, open_image_files, refuse_split_names
from tfdl.data.images import ImageDataset, common_image_shape, in_memory_if_it_fits
from tfdl.data.labels import classes_of, unequal_classes_notes
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
    named = [records.splits[file_number] for file_number in records.file_numbers.tolist()]
    labels = [records.labels[place] for place in records.label_places.tolist()]
    content_numbers = records.fact("hashes").tolist()
    assignment = image_assignment(named, labels, content_numbers, classes, config.stratified)
    places = places_by_split(named, content_numbers, assignment)
    check_images(config.name, classes, places, records.bad, is_stratified=config.stratified)
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
    places: Mapping[str, list[int]],
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
            records.contents(np.array(members)),
            [kinds[member] for member in members],
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
