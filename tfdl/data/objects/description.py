"""What splits from Python code hold, in few bytes, for two processes to compare."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.data.python_reading import own_errors

# Samples of a split that are compared, evenly spread. A Python data set may make a whole batch for each of them.
_SAMPLES = 64
_SAMPLES_OF_PY_DATASET = 4


@dataclass(frozen=True)
class SplitDescription:
    """What a split holds."""

    num_examples: int
    features: str
    """The features of a sample with their dtypes and shapes."""
    digest: str | None
    """Of some samples; None if they change from one reading to the next."""

    def difference(self, other: "SplitDescription", here: str, there: str) -> str:
        """How another description differs from this one; empty if they are equal.

        Args:
            other: the other description.
            here: who has this one, for the message.
            there: who has the other one.
        """
        if self.num_examples != other.num_examples:
            return f"has {self.num_examples} samples on {here} and {other.num_examples} on {there}"
        if self.features != other.features:
            return f"has the features {self.features} on {here} and {other.features} on {there}"
        if None not in (self.digest, other.digest) and self.digest != other.digest:
            return f"has other samples on {there} than on {here}"
        return ""


def describe_splits(sources: Mapping[str, Any], data: Mapping[str, Any] | None) -> dict[str, SplitDescription]:
    """Describes splits: their number of samples, their features, and the values of some samples.

    Args:
        sources: the splits as sources.
        data: what Python code passed.
    """
    py_datasets = [value for value in (data or {}).values() if isinstance(value, keras.utils.PyDataset)]
    most = _SAMPLES_OF_PY_DATASET if py_datasets else _SAMPLES
    has_fixed_samples = not any(_changes(dataset) for dataset in py_datasets)
    with own_errors():
        return {split: _described(source, most, has_fixed_samples) for split, source in sources.items()}


def _described(source: Any, most: int, has_fixed_samples: bool) -> SplitDescription:
    num_samples = min(most, source.num_examples)
    indices = tf.constant(np.linspace(0, source.num_examples - 1, num_samples).astype(np.int64))
    samples = _as_arrays(source.read(indices))
    features = ", ".join(f"{name} {value.dtype} {value.shape[1:]}" for name, value in samples.items())
    digest = _digest(samples)
    if not has_fixed_samples or digest != _digest(_as_arrays(source.read(indices))):
        return SplitDescription(source.num_examples, features, None)
    return SplitDescription(source.num_examples, features, digest)


def _as_arrays(features: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(features[name]) for name in sorted(features)}


def _digest(samples: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, values in samples.items():
        digest.update(name.encode())
        is_text = values.dtype == object
        digest.update(repr(values.tolist()).encode() if is_text else values.tobytes())
    return digest.hexdigest()


def _changes(dataset: Any) -> bool:
    """Whether a data set's first batch changes from one reading to the next, as with random augmentation."""
    first, again = (keras.tree.flatten(dataset[0]) for _ in range(2))
    return any(not np.array_equal(np.asarray(one), np.asarray(two)) for one, two in zip(first, again, strict=True))
