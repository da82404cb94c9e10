"""What images in the user's records are, for ``tfdl datasets show``. No TensorFlow is imported."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.description import FilesDescription
from tfdl.data.files.image_description import (
    Looked,
    add_classes,
    as_shown,
    look_at_content,
    sizes_in_words,
    without_warnings,
)
from tfdl.data.files.image_folders import check_images, class_of, image_assignment, places_by_split
from tfdl.data.files.layout import PlacedFile
from tfdl.data.files.pieces import Piece, Pieces
from tfdl.data.labels import classes_of
from tfdl.data.records.files import open_records
from tfdl.data.records.image_columns import ImageColumn
from tfdl.data.records.image_rows import label_column, refuse_other_rows
from tfdl.data.records.labels import label_text
from tfdl.errors import UserError

# Images, and about how many bytes of them, that are decoded before the next ones are read.
_CHUNK = 64
_CHUNK_BYTES = 2**24
_Image = tuple[str, bytes]
"""Label and content."""


class DescribedRecords:
    """What the images in files of records are. Each is read and decoded once.

    Args:
        found: the files.
        column: of the images.
        config: the path, and the columns that the user chose.
        kind: what the files are.
    """

    def __init__(self, found: Pieces, column: ImageColumn, config: DatasetConfig, kind: str):
        refuse_other_rows(found.files, column)
        self._pieces = found.files
        self._image = column.name
        self._label, notes = label_column(found.files, column, config)
        self._encoding = config.encoding
        self._name = config.name
        bad = BadRows(skip=True)
        self._rows: list[tuple[int, int]] = []  # the place of each image's file, and its number in it
        self._files: list[PlacedFile] = []
        looked: list[Looked] = []
        for place, number, label, seen in self._looked(bad):
            self._rows.append((place, number))
            self._files.append(PlacedFile(found.files[place].path, label, found.files[place].split))
            looked.append(seen)
        labels = list(map(class_of, self._files))
        named = [file.split for file in self._files]
        classes = classes_of(labels, exact=config.exact_labels)
        numbers = [seen.number for seen in looked]
        assignment = image_assignment(named, labels, numbers, classes, config.stratified)
        self._places = places_by_split(named, numbers, assignment)
        self.description = FilesDescription(
            name=config.name,
            kind=kind,
            num_files=len(found.files),
            num_bytes=sum(piece.path.stat().st_size for piece in found.files),
            splits={split: len(places) for split, places in self._places.items()},
            sizes=sizes_in_words([seen.size for seen in looked]),
            notes=[*bad.notes, *found.notes, *notes, *classes.notes],
        )
        by_content = frozenset() if config.stratified else assignment.splits_by_content
        add_classes(self.description, self._files, classes, self._places, by_content)
        self.description.note_bad_rows(bad.count)
        try:
            check_images(config.name, classes, self._places, bad, is_stratified=config.stratified)
        except UserError as error:
            self.description.notes.append(str(error))
        else:
            self.description.tasks = {"image-classification": {"image": self._image, "label": self._label}}

    def samples(self, split: str, count: int) -> list[dict[str, Any]]:
        """Images of a split, evenly spread over it, with their class names.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: most images.

        Raises:
            UserError: no images.
        """
        places = self._places[split]
        if not places:
            raise UserError(f"dataset {self._name!r} has no images in the split {split!r}; choose another --split")
        count = min(count, len(places))
        wanted = {self._rows[places[number * len(places) // count]] for number in range(count)}
        samples = []
        with without_warnings():
            for place in sorted({place for place, _ in wanted}):
                for number, image in self._images(self._pieces[place]):
                    if (place, number) in wanted and not isinstance(image, BadRow):
                        samples.append({"image": as_shown(image[1]), "label": image[0]})
        return samples

    def _looked(self, bad: BadRows) -> Iterator[tuple[int, int, str, Looked]]:
        """Place of the file, number of the row, label and what decoding found, for each row with an image."""
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as workers, without_warnings():
            for place, piece in enumerate(self._pieces):
                for chunk in _chunks(self._images(piece)):
                    good = [(number, *image) for number, image in chunk if not isinstance(image, BadRow)]
                    for _ in bad.sifted(image for _, image in chunk):
                        pass
                    for (number, label, _), seen in zip(
                        good, workers.map(look_at_content, [content for *_, content in good]), strict=True
                    ):
                        if seen.error:
                            bad.note(BadRow(piece.path, number, seen.error))
                        else:
                            yield place, number, label, seen

    def _images(self, piece: Piece) -> Iterator[tuple[int, _Image | BadRow]]:
        """Number of each row, and its label and image."""
        file = open_records(piece.path)
        class_names = file.class_names_of(self._label)
        for number, row in enumerate(file.rows({self._image: None, self._label: None}), 1):
            if isinstance(row, BadRow):
                yield number, row
                continue
            try:
                label = label_text(row[1], self._label, class_names, self._encoding)
                content = row[1].get(self._image)
                if not isinstance(content, bytes):
                    raise ValueError(f"no image in {self._image!r}")
            except ValueError as error:
                yield number, BadRow(piece.path, number, str(error))
            else:
                yield number, (label, content)


def _chunks(rows: Iterator[tuple[int, _Image | BadRow]]) -> Iterator[list[tuple[int, _Image | BadRow]]]:
    """Rows that are in memory together."""
    chunk: list[tuple[int, _Image | BadRow]] = []
    num_bytes = 0
    for number, image in rows:
        chunk.append((number, image))
        num_bytes += 0 if isinstance(image, BadRow) else len(image[1])
        if len(chunk) == _CHUNK or num_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk = []
            num_bytes = 0
    if chunk:
        yield chunk
