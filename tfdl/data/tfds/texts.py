"""Texts from TFDS, as rows of named roles."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import DatasetConfig
from tfdl.data.texts import Row, TextDataset, TextSplit
from tfdl.data.tfds.catalog import open_builder
from tfdl.data.tfds.features import feature_keys, only, value_at
from tfdl.data.tfds.records import open_records
from tfdl.data.tfds.roles import role_keys
from tfdl.data.tfds.splits import choose_splits
from tfdl.errors import UserError

# Records that are read and decoded together.
_CHUNK = 1024


def open_tfds_texts(config: DatasetConfig, roles: tuple[str, ...]) -> TextDataset:
    """Opens the three splits of a TFDS data set, which is prepared first if necessary.

    Args:
        config: which data set, and which of its features serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.

    Raises:
        UserError: unknown set or split, an empty split, or no feature, or several features, for a role.
    """
    builder = open_builder(config.name, config.data_dir)
    keys = role_keys(builder, roles, config.columns)
    available = {split: info.num_examples for split, info in builder.info.splits.items()}
    splits: dict[str, TextSplit] = {}
    for role, split in choose_splits(config, available):
        splits[role] = PreparedTexts(builder, split, keys)
        if not splits[role].num_examples:
            raise UserError(f"split {split!r} of {config.name!r} is empty; choose another dataset.{role}_split")
    class_names: tuple[str, ...] = ()
    if "label" in roles:
        features = feature_keys(builder.info.features)
        class_names = tuple(features[keys["label"]].names)
    return TextDataset(config.name, splits, class_names)


class PreparedTexts:
    """One split of a prepared TFDS data set.

    Args:
        builder: of the prepared data set.
        split: such as ``train[:80%]``.
        keys: role -> dotted key of the feature.
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
            end = min(begin + _CHUNK, self.num_examples)
            serialized = self._records.read(np.arange(begin, end))
            columns = {role: values.numpy() for role, values in self._decode(serialized).items()}
            for row in range(end - begin):
                yield {role: _plain(values[row]) for role, values in columns.items()}


def _decoder(builder: Any, keys: Mapping[str, str]) -> Any:
    """A graph from serialized examples to columns by role; other features are not decoded."""
    all_features = builder.info.features
    features = only(all_features, keys.values())

    def decode_one(serialized: Any) -> dict[str, Any]:
        example = features.deserialize_example(serialized)
        return {role: value_at(all_features, example, key) for role, key in keys.items()}

    signature = {role: tf.TensorSpec((), tf.int64 if role == "label" else tf.string) for role in keys}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def decode(serialized: Any) -> dict[str, Any]:
        columns: dict[str, Any] = tf.map_fn(decode_one, serialized, fn_output_signature=signature)
        return columns

    return decode


def _plain(value: Any) -> str | int:
    """A text as ``str``, a class number as ``int``."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else int(value)
