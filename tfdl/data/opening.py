"""Opens a run's data set, wherever it comes from: the user's own files, TFDS, a declared part, or Python code."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfdl.config import DATASETS, DatasetConfig
from tfdl.data.files.image_folders import NoClassFoldersError
from tfdl.data.files.images import open_image_folder
from tfdl.data.files.paths import FILE_OPTIONS, hidden_files_note, is_local, refuse_options
from tfdl.data.files.tables_for_images import refuse_tables
from tfdl.data.files.texts import open_local_texts
from tfdl.data.images import CURRENT_RULES, ImageDataset
from tfdl.data.objects.images import open_given_images
from tfdl.data.objects.splits import split_sources
from tfdl.data.objects.texts import open_given_texts
from tfdl.data.records.images import open_image_rows
from tfdl.data.sources import Source
from tfdl.data.texts import TextDataset
from tfdl.data.tfds.images import open_tfds_images
from tfdl.data.tfds.texts import open_tfds_texts
from tfdl.errors import UserError

_NO_PATH = "is not a path of your own files"


def open_images(
    config: DatasetConfig,
    data: Mapping[str, Any] | None = None,
    trained_names: Sequence[str] = (),
    rules_number: int = CURRENT_RULES,
) -> ImageDataset:
    """Opens the three splits of an image classification set.

    Args:
        config: the data set.
        data: splits that Python code passed; they replace the data set.
        trained_names: the classes of a run that has begun before; they keep their numbers.
        rules_number: the rules by which the run reads image files (see ``tfdl.data.files.image_rules``).

    Raises:
        UserError: unknown set or split, not an image classification set, images of many sizes, or unlabelled samples.
    """
    data = _given_or_loaded(config, data)
    if data is not None:
        refuse_options(config, ("stratified",), _NO_PATH)
        return open_given_images(config, data, trained_names)
    if is_local(config.name):
        try:
            return open_image_folder(config, trained_names, rules_number)
        except NoClassFoldersError:
            rows = open_image_rows(config, trained_names, rules_number)
            if rows is not None:
                return rows
            refuse_tables(config)
            raise
    refuse_options(config, FILE_OPTIONS, _NO_PATH)
    found = open_tfds_images(config)
    return dataclasses.replace(found, notes=(*found.notes, *hidden_files_note(config.name)))


def open_texts(
    config: DatasetConfig,
    roles: tuple[str, ...],
    data: Mapping[str, Any] | None = None,
    trained_names: Sequence[str] = (),
) -> TextDataset:
    """Opens the three splits of a data set of texts.

    Args:
        config: the data set, and which of its columns (features) serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.
        data: splits that Python code passed; they replace the data set.
        trained_names: as for ``open_images``.

    Raises:
        UserError: unknown set or split, an empty split, or no column, or several columns, for a role.
    """
    data = _given_or_loaded(config, data)
    if data is not None:
        refuse_options(config, ("stratified",), _NO_PATH)
        return open_given_texts(config, roles, data, trained_names)
    if is_local(config.name):
        return open_local_texts(config, roles, trained_names)
    refuse_options(config, FILE_OPTIONS, _NO_PATH)
    found = open_tfds_texts(config, roles)
    return dataclasses.replace(found, notes=(*found.notes, *hidden_files_note(config.name)))


def open_sources(
    config: DatasetConfig, roles: Sequence[str], data: Mapping[str, Any] | None = None
) -> dict[str, Source]:
    """Opens the three splits of a data set of arrays, with a feature for each role.

    Args:
        config: a data set that a plugin declares with a ``load`` function.
        roles: what a sample consists of.
        data: splits that Python code passed; they replace the data set.

    Raises:
        UserError: the data set is a path or a TFDS set, or has no such roles.
    """
    data = _given_or_loaded(config, data)
    if data is None:
        raise UserError(
            f"data set {config.name!r} has no {' and '.join(roles)}, expected a declared data set that returns them"
            " (tfdl.register_dataset), or tfdl.train(data=...)"
        )
    return split_sources(data, roles, config.memory_limit_mb)


def _given_or_loaded(config: DatasetConfig, data: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The splits from Python code, or from the ``load`` function of a declared data set; ``None`` for all others."""
    if data is not None or config.name not in DATASETS:
        return data
    implementation = DATASETS.load(config.name)
    if isinstance(implementation, type):  # a TFDS builder
        return None
    splits: Mapping[str, Any] = implementation(config)
    return splits
