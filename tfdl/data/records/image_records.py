"""The user's images in records, converted and checked: facts about all records that can be used, over all files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.image_rules import image_rules
from tfdl.data.files.pieces import Pieces
from tfdl.data.images import CURRENT_RULES
from tfdl.data.notices import WorkNotice
from tfdl.data.records.array_record import ArrayRecordFile
from tfdl.data.records.converted_rows import Columns
from tfdl.data.records.image_columns import ImageColumn
from tfdl.data.records.image_contents import ImageRecords
from tfdl.data.records.image_index import ImageIndex, index_of
from tfdl.data.records.image_rows import label_column, refuse_other_rows
from tfdl.data.records.shards import Shard, shards_of
from tfdl.data.records.table import RecordTable
from tfdl.data.tfds.catalog import data_root


class CheckedRecords:
    """Images in files of records. They are converted if necessary, and each is decoded once.

    Args:
        found: the user's files.
        column: of the images.
        config: the data set.
        rules_number: the rules by which the run reads images.

    Raises:
        UserError: no column of labels, damaged files, or no space to convert them.

    Attributes:
        notes: lines about files and columns.
        bad: the records that cannot be used.
        splits: for each file the split that it is named after, if any.
        labels: the different labels of all files, as they are written.
        label_places: the place in ``labels`` of each usable record's label, ``(n,)``.
        file_numbers: the number of each usable record's file, ``(n,)``.
    """

    def __init__(self, found: Pieces, column: ImageColumn, config: DatasetConfig, rules_number: int = CURRENT_RULES):
        label, label_notes = label_column(found.files, column, config)
        refuse_other_rows(found.files, column)
        self.notes = (*found.notes, *label_notes)
        files = [(piece.path, piece.split) for piece in found.files]
        self._shards = shards_of(files, Columns(column.name, label), config.name, data_root(config.data_dir))
        self._files = [ArrayRecordFile(str(shard.path)) for shard in self._shards]
        self._indexes = self._look(config, rules_number)
        self.bad = _bad_rows(self._shards, self._indexes, config.skip_bad_rows)
        self.splits = [shard.split for shard in self._shards]
        usable = [np.flatnonzero(index.labels >= 0) for index in self._indexes]
        self._record_numbers = np.concatenate(usable)
        self.file_numbers = np.repeat(np.arange(len(usable)), [len(numbers) for numbers in usable])
        self.labels = [text for index in self._indexes for text in index.label_texts]
        self.label_places = self._places_of_labels()

    def __len__(self) -> int:
        """Number of records that can be used."""
        return len(self.file_numbers)

    def fact(self, name: str) -> Any:
        """A fact about each record that can be used, ``(n, ...)``.

        Args:
            name: an array of ``ImageIndex``.
        """
        return np.concatenate([index.arrays[name][index.labels >= 0] for index in self._indexes])

    def contents(self, members: np.ndarray) -> ImageRecords:
        """The contents of some images.

        Args:
            members: their numbers among the usable records.
        """
        table = RecordTable(self._files, self.file_numbers[members], self._record_numbers[members])
        return ImageRecords(table, self._shards[0].image)

    def _look(self, config: DatasetConfig, rules_number: int) -> list[ImageIndex]:
        rules = image_rules(rules_number)
        notice = WorkNotice(f"checking the images of {config.name}", sum(map(len, self._files)))
        return [index_of(shard, rules, config.encoding, notice) for shard in self._shards]

    def _places_of_labels(self) -> np.ndarray:
        counts = [len(index.label_texts) for index in self._indexes]
        begins = np.cumsum([0, *counts[:-1]])
        places = [index.labels[index.labels >= 0] + begin for index, begin in zip(self._indexes, begins, strict=True)]
        return np.concatenate(places)


def _bad_rows(shards: Sequence[Shard], indexes: Sequence[ImageIndex], skip: bool) -> BadRows:
    bad = BadRows(skip)
    for shard, index in zip(shards, indexes, strict=True):
        for number, reason in sorted(index.errors.items()):
            bad.note(BadRow(shard.source, number + 1, reason))
    return bad
