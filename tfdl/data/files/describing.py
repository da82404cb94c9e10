"""Describes a path of the user's files: decides whether they are images or texts. No TensorFlow is imported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRows
from tfdl.data.files.description import DescribedFiles
from tfdl.data.files.image_description import DescribedImages
from tfdl.data.files.image_endings import ENDINGS
from tfdl.data.files.layout import files_in_classes
from tfdl.data.files.paths import TEXT_OPTIONS, refuse_columns, refuse_options
from tfdl.data.files.pieces import PLAIN_ENDINGS
from tfdl.data.files.readers import READERS
from tfdl.data.files.text_description import DescribedTexts
from tfdl.data.files.tree import Folder, read_tree
from tfdl.data.records.description import DescribedRecords
from tfdl.data.records.endings import kind_of
from tfdl.data.records.image_rows import find_rows_of_images, label_column
from tfdl.data.records.listed_images import listed_images
from tfdl.errors import UserError


def describe_files(config: DatasetConfig) -> DescribedFiles:
    """Reads the user's files once, and describes them.

    Args:
        config: the path, and how files are read.

    Raises:
        UserError: no such files, files that cannot be read, or options that have no meaning for them.
    """
    path = Path(config.name).expanduser()
    if path.is_dir():
        tree = read_tree(path, ENDINGS)
        if not tree.has_files and not tree.others:
            raise UserError(
                f"dataset {config.name!r} has no files, expected images in class folders, texts, tables or JSON lines"
            )
        if _are_images(tree):
            reason = "is a folder of images"
            refuse_options(config, TEXT_OPTIONS, reason)
            refuse_columns(config, reason)
            return DescribedImages(config, files_in_classes(tree))
    rows = find_rows_of_images(config)
    if rows is None:
        return DescribedTexts(config)
    pieces, column = rows
    kind = "images that rows name" if column.is_path else f"images in {kind_of(pieces.files[0].path)}"
    try:
        label_column(pieces.files, column, config)
    except UserError as question:
        if config.label_column is not None:
            raise
        return _DescribedWithoutLabel(config, kind, question)
    if column.is_path:
        bad = BadRows(skip=True)
        return DescribedImages(config, listed_images(pieces, column, config, bad), kind, bad)
    return DescribedRecords(pieces, column, config, kind)


class _DescribedWithoutLabel:
    """Rows with images, of which several columns, or none, may be the label: the columns among which the user chooses.

    Args:
        config: the path, and how files are read.
        kind: what the files are.
        question: which column is the label.
    """

    def __init__(self, config: DatasetConfig, kind: str, question: UserError):
        self._question = question
        # The rows are those of texts; what the paths of images or other columns would be as texts is of no interest.
        self.description = replace(
            DescribedTexts(config).description, kind=kind, tasks={}, splits={}, classes={}, notes=[str(question)]
        )

    def samples(self, split: str, count: int) -> list[dict[str, Any]]:  # noqa: ARG002
        """Asks which column is the label.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: most samples.

        Raises:
            UserError: always.
        """
        raise self._question


def _are_images(tree: Folder) -> bool:
    """Whether a folder is one of images. Without two classes of images, tables or more texts than images are meant."""
    if not tree.has_files:
        return False
    if len({file.class_name for file in files_in_classes(tree).files}) >= 2:
        return True
    if any(ending in READERS for ending in tree.others):
        return False
    num_images = sum(1 for _ in tree.all_files())
    return num_images >= sum(tree.others[ending] for ending in PLAIN_ENDINGS)
