"""Compares the data that Python code passed on every rank: tfdl deals out the samples, so all ranks must have all."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError, mark_agreed

# Samples of a split that are compared, evenly spread. A Python data set may make a whole batch for each of them.
_SAMPLES = 64
_SAMPLES_OF_PY_DATASET = 4


@dataclass(frozen=True)
class _Split:
    """What one rank has as a split."""

    num_examples: int
    features: str
    """The features of a sample with their dtypes and shapes."""
    digest: str | None
    """Of some samples; None if they change from one reading to the next."""


def check_equal_data(sources: Mapping[str, Any], data: Mapping[str, Any] | None, world: World) -> None:
    """Checks that all ranks were given the same data. Every rank must call it.

    Compared are the number of samples, their features, and the values of some samples.

    Args:
        sources: the splits as sources.
        data: what was passed.
        world: the ranks.

    Raises:
        UserError: the ranks have different data. It is raised on every rank.
    """
    if world.size == 1:
        return
    described: dict[str, _Split] = {}
    with world.agreement():
        py_datasets = [value for value in (data or {}).values() if isinstance(value, keras.utils.PyDataset)]
        most = _SAMPLES_OF_PY_DATASET if py_datasets else _SAMPLES
        has_fixed_samples = not any(_changes(dataset) for dataset in py_datasets)
        described = {split: _described(source, most, has_fixed_samples) for split, source in sources.items()}
    described_by_ranks = world.all_gather_object(described)
    for rank, other in enumerate(described_by_ranks):
        for split, first in described_by_ranks[0].items():
            difference = _difference(first, other[split], rank)
            if difference:
                error = UserError(
                    f"the split {split!r} of data= {difference}; expected the same data on every rank: pass all"
                    " samples everywhere, and tfdl deals them out to the ranks"
                )
                mark_agreed(error)
                raise error


def _described(source: Any, most: int, has_fixed_samples: bool) -> _Split:
    num_samples = min(most, source.num_examples)
    indices = tf.constant(np.linspace(0, source.num_examples - 1, num_samples).astype(np.int64))
    samples = _as_arrays(source.read(indices))
    features = ", ".join(f"{name} {value.dtype} {value.shape[1:]}" for name, value in samples.items())
    digest = _digest(samples)
    if not has_fixed_samples or digest != _digest(_as_arrays(source.read(indices))):
        return _Split(source.num_examples, features, None)
    return _Split(source.num_examples, features, digest)


def _difference(first: _Split, other: _Split, rank: int) -> str:
    """How a rank's split differs from rank 0's; empty if they are equal."""
    if first.num_examples != other.num_examples:
        return f"has {first.num_examples} samples on rank 0 and {other.num_examples} on rank {rank}"
    if first.features != other.features:
        return f"has the features {first.features} on rank 0 and {other.features} on rank {rank}"
    if None not in (first.digest, other.digest) and first.digest != other.digest:
        return f"has other samples on rank {rank} than on rank 0"
    return ""


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
