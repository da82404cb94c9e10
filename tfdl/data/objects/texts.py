"""Texts that Python code passed, as rows of named roles."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.labels import Classes
from tfdl.data.objects.images import classes_of_splits, notes_of
from tfdl.data.objects.splits import refuse_sample_weights, signature_of, split_sources
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.data.sources import Source
from tfdl.data.texts import VALIDATION_IS_TEST, Row, TextDataset
from tfdl.errors import UserError

# Rows that are read together.
_BATCH = 1024
_LABEL = "label"


def open_given_texts(
    config: DatasetConfig, roles: Sequence[str], data: Mapping[str, Any], trained_names: Sequence[str] = ()
) -> TextDataset:
    """The splits of ``data`` as rows of texts.

    Args:
        config: the memory limit.
        roles: what a row consists of; all but ``label`` are texts.
        data: splits as ``split_sources`` takes them.
        trained_names: the classes of a run that has begun before.

    Raises:
        UserError: values that are not texts, labels that are not classes, or sample weights.
    """
    sources = split_sources(data, roles, config.memory_limit_mb)
    refuse_sample_weights(sources, "a task of texts")
    signature = signature_of(sources["train"])
    for role in roles:
        spec = signature[role]
        if role != _LABEL and (spec.dtype != tf.string or spec.shape.ndims != 0):
            raise UserError(
                f"{role} has the dtype {spec.dtype.name} and the shape {spec.shape}, expected one text a sample"
            )
    classes = Classes((), {})
    if _LABEL in roles:
        classes = classes_of_splits(sources, signature[_LABEL], data, trained_names, config.exact_labels)
    splits = {split: GivenTexts(source, roles, classes) for split, source in sources.items()}
    notes = [*notes_of(sources), *classes.notes]
    # One split alone, which is evaluated, stands for all of them.
    if sources["test"] is sources["validation"] is not sources["train"]:
        notes.append(VALIDATION_IS_TEST)
    return TextDataset(config.name, splits, classes.names, tuple(notes))


class GivenTexts:
    """One split's rows, read from a source.

    Args:
        source: its features are texts in UTF-8, and labels as numbers or texts.
        roles: what a row consists of.
        classes: the class number of each label.
    """

    def __init__(self, source: Source, roles: Sequence[str], classes: Classes):
        self.num_examples = source.num_examples
        self._source = source
        self._roles = tuple(roles)
        self._class_numbers = classes.numbers
        self.fingerprint = self._digest()

    def __iter__(self) -> Iterator[Row]:
        batches = evaluation_batches(self._source, batch_size=_BATCH)
        for batch in taken(batches.as_numpy_iterator()):
            for number in range(len(batch[self._roles[0]])):
                yield {role: self._value(role, batch[role][number]) for role in self._roles}

    def _value(self, role: str, value: Any) -> str | int:
        if not isinstance(value, bytes):
            return int(value)
        text = value.decode("utf-8", "replace")
        return self._class_numbers[text] if role == _LABEL else text

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for row in self:
            content = "\0".join(map(str, row.values()))
            digest.update(content.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()
