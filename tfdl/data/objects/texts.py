"""Texts that Python code passed, as rows of named roles."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.objects.images import notes_of
from tfdl.data.objects.labels import class_names_of
from tfdl.data.objects.splits import refuse_sample_weights, signature_of, split_sources, trained_names_of
from tfdl.data.pipeline import evaluation_batches
from tfdl.data.python_reading import taken
from tfdl.data.sources import Source
from tfdl.data.texts import Row, TextDataset
from tfdl.errors import UserError

# Rows that are read together.
_BATCH = 1024
_LABEL = "label"


def open_given_texts(config: DatasetConfig, roles: Sequence[str], data: Mapping[str, Any]) -> TextDataset:
    """The splits of ``data`` as rows of texts.

    Args:
        config: the memory limit.
        roles: what a row consists of; all but ``label`` are texts.
        data: splits as ``split_sources`` takes them.

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
    class_names: tuple[str, ...] = ()
    if _LABEL in roles:
        class_names = class_names_of(sources, signature[_LABEL], trained_names_of(data))
    splits = {split: GivenTexts(source, roles, class_names) for split, source in sources.items()}
    return TextDataset(config.name, splits, class_names, notes_of(sources))


class GivenTexts:
    """One split's rows, read from a source.

    Args:
        source: its features are texts in UTF-8, and labels as numbers or texts.
        roles: what a row consists of.
        class_names: a name for each class number.
    """

    def __init__(self, source: Source, roles: Sequence[str], class_names: Sequence[str]):
        self.num_examples = source.num_examples
        self._source = source
        self._roles = tuple(roles)
        self._class_numbers = {name: number for number, name in enumerate(class_names)}
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
