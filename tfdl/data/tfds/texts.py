"""Texts from TFDS, as rows of named roles."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.texts import Row, TextDataset, TextSplit
from tfdl.data.tfds.catalog import open_builder
from tfdl.data.tfds.records import open_records
from tfdl.data.tfds.roles import feature_keys, only, role_keys, value_at
from tfdl.data.tfds.splits import choose_splits
from tfdl.errors import UserError

# Records that are read and decoded together.
_CHUNK = 1024


def open_tfds_texts(config: DatasetConfig, roles: tuple[str, ...]) -> TextDataset:
    """Opens the three splits of a TFDS set, and prepares it first where it is not prepared.

    Args:
        config: which data set, and which of its features serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.

    Raises:
        UserError: an unknown set or split, an empty one, or no feature, or several, for a role.
    """
    builder = open_builder(config.name, config.data_dir)
    keys = role_keys(builder, roles, config.columns)
    available = {key: info.num_examples for key, info in builder.info.splits.items()}
    splits: dict[str, TextSplit] = {}
    for name, split in choose_splits(config, available):
        splits[name] = PreparedTexts(builder, split, keys)
        if not splits[name].num_examples:
            raise UserError(f"split {split!r} of {config.name!r} is empty; choose another dataset.{name}_split")
    names = tuple(feature_keys(builder.info.features)[keys["label"]].names) if "label" in roles else ()
    return TextDataset(config.name, splits, names)


class PreparedTexts:
    """One split of a prepared TFDS data set.

    Args:
        builder: of the data set.
        split: such as ``train[:80%]``.
        keys: role -> feature, with dots between nested names.
    """

    def __init__(self, builder: Any, split: str, keys: Mapping[str, str]):
        self._records = open_records(builder, split)
        self._decode = _decoder(builder, keys)
        self.num_examples = len(self._records)
        info = builder.info
        parts = (info.full_name, split, str(self.num_examples), str(info.metadata), str(sorted(keys.items())))
        self.fingerprint = hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def __iter__(self) -> Iterator[Row]:
        for begin in range(0, self.num_examples, _CHUNK):
            places = np.arange(begin, min(begin + _CHUNK, self.num_examples))
            columns = {role: values.numpy() for role, values in self._decode(self._records.read(places)).items()}
            for number in range(len(places)):
                yield {role: _plain(values[number]) for role, values in columns.items()}


def _decoder(builder: Any, keys: Mapping[str, str]) -> Any:
    """A graph from serialized examples to columns by role; other features are not decoded."""
    described = builder.info.features
    features = only(described, keys.values())

    def decode(serialized: Any) -> dict[str, Any]:
        example = features.deserialize_example(serialized)
        return {role: value_at(described, example, key) for role, key in keys.items()}

    signature = {role: tf.TensorSpec((), tf.int64 if role == "label" else tf.string) for role in keys}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def columns(serialized: Any) -> dict[str, Any]:
        found: dict[str, Any] = tf.map_fn(decode, serialized, fn_output_signature=signature)
        return found

    return columns


def _plain(value: Any) -> str | int:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else int(value)
