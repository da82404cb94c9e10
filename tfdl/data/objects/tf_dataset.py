"""A ``tf.data.Dataset`` of single samples as a source."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.autograph.experimental import do_not_convert

from tfdl.data.objects.structure import named_features
from tfdl.data.python_reading import python_columns
from tfdl.data.sources import ArraySource, ShuffledSource, Source
from tfdl.errors import UserError, in_one_line


def tf_dataset_source(
    dataset: tf.data.Dataset,
    roles: Sequence[str],
    memory_limit_mb: int,
    where: str,
    numbers: np.ndarray | None = None,
) -> Source:
    """A source that reads a data set in its own order.

    The data set is read twice, and the two passes are compared.

    Args:
        dataset: single samples, not batches; their number must be known.
        roles: what a sample consists of.
        memory_limit_mb: samples of at most this size, in MiB, are kept in memory. A larger data set is read again in
            each epoch. The size of texts is not counted.
        where: what is read, for messages.
        numbers: which of its samples belong to this source, rising; ``None`` stands for all.

    Raises:
        UserError: an unknown number of samples, batches, samples of different shapes, or passes that differ.
    """
    features = _features(dataset, roles, where)
    count = cardinality(dataset, where)
    _check_passes(features, count, where)
    if numbers is None:
        numbers = np.arange(count)
    bytes_per_sample = 0
    for spec in features.element_spec.values():
        if spec.dtype != tf.string:
            bytes_per_sample += np.prod(spec.shape) * spec.dtype.size
    if bytes_per_sample * len(numbers) <= memory_limit_mb * 2**20:
        return _InOrder(_loaded(features, numbers, where))
    return StreamSource(features, numbers, where)


def cardinality(dataset: tf.data.Dataset, where: str) -> int:
    """The number of samples.

    Args:
        dataset: single samples.
        where: what is read, for messages.

    Raises:
        UserError: the number is unknown, infinite or 0.
    """
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UserError(f"{where} never ends, expected a known number of samples: leave out repeat()")
    if count == tf.data.UNKNOWN_CARDINALITY:
        raise UserError(
            f"{where} has an unknown number of samples; expected a known one:"
            " dataset.apply(tf.data.experimental.assert_cardinality(n))"
        )
    if not count:
        raise UserError(f"{where} has no samples, expected at least 1")
    return count


class StreamSource(ShuffledSource):
    """Samples of a data set that is read again in each epoch, in its own order.

    Args:
        dataset: samples as features by name.
        numbers: which of its samples belong to this source, rising.
        where: what is read, for messages.
    """

    # There is one iterator, which is quick only if numbers rise from batch to batch.
    parallel_reads = False

    def __init__(self, dataset: tf.data.Dataset, numbers: np.ndarray, where: str):
        self._dataset = dataset
        self._where = where
        self._numbers = numbers
        self.num_examples = len(numbers)
        self.signature = dataset.element_spec
        self._lock = threading.Lock()
        self._iterator: Iterator[dict[str, np.ndarray]] = iter(())
        self._next = -1  # the number of the iterator's next sample; -1 before it is made

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``; quick if the numbers rise from call to call."""
        return python_columns(self._read, indices, self.signature)

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        """The data set's own order."""
        return np.arange(self.num_examples)

    def _read(self, indices: np.ndarray) -> list[np.ndarray]:
        with self._lock:
            samples = [self._sample(int(self._numbers[index])) for index in indices]
        return [_stacked([sample[name] for sample in samples], spec) for name, spec in self.signature.items()]

    def _sample(self, number: int) -> dict[str, np.ndarray]:
        """The sample of this number; the iterator starts again if it is already beyond it."""
        if number < self._next or self._next < 0:
            self._iterator = _samples(self._dataset.skip(number), self._where)
            self._next = number
        while True:
            sample = next(self._iterator, None)
            if sample is None:
                raise UserError(
                    f"{self._where} ended before sample {number} in a later pass; expected the same samples in each"
                )
            self._next += 1
            if self._next > number:
                return sample


class _InOrder(ArraySource):
    """Arrays that are read in their own order."""

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        return np.arange(self.num_examples)


def _features(dataset: tf.data.Dataset, roles: Sequence[str], where: str) -> tf.data.Dataset:
    """The data set with samples as features by name, in one order of names."""
    named = named_features(dataset.element_spec, roles, where)
    for name, spec in named.items():
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.is_fully_defined():
            shape = getattr(spec, "shape", type(spec).__name__)
            raise UserError(
                f"{name} of {where} has the shape {shape}, expected single samples of one known shape: unbatch() a data"
                " set of batches, and set the shape (tf.ensure_shape) of samples that have one"
            )

    is_tuple = isinstance(dataset.element_spec, tuple)

    def rename(*items: Any) -> dict[str, Any]:
        sample = items if is_tuple else items[0]  # map passes a tuple's items as separate arguments
        return named_features(sample, roles, where)

    return dataset.map(do_not_convert(rename))


def _samples(dataset: tf.data.Dataset, where: str) -> Iterator[dict[str, np.ndarray]]:
    """The samples as arrays.

    Args:
        dataset: samples as features by name.
        where: what is read, for messages.

    Raises:
        UserError: the data set itself fails.
    """
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        reason = in_one_line(str(error.message))
        raise UserError(f"{where} fails while it is read, expected samples: {reason}") from error


def _check_passes(dataset: tf.data.Dataset, count: int, where: str) -> None:
    """Raises an error if two passes differ.

    A run reads the data many times, resumes in the middle, and shares samples out to ranks by their number. So a number
    must always stand for the same sample.
    """
    first = _digests(dataset, where)
    second = _digests(dataset, where)
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            raise UserError(
                f"two passes over {where} differ at sample {number}; expected the same samples in the same order: leave"
                " out shuffle() and random changes (tfdl shuffles arrays itself), or shuffle with"
                " reshuffle_each_iteration=False"
            )
    if len(first) != len(second) or len(first) != count:
        raise UserError(f"{where} has {len(first)} samples in one pass, expected {count} in each")


def _digests(dataset: tf.data.Dataset, where: str) -> list[bytes]:
    """A hash of each sample."""
    digests = []
    for sample in _samples(dataset, where):
        digest = hashlib.sha256()
        for name in sorted(sample):
            value = np.asarray(sample[name])
            if value.dtype == object:  # texts
                digest.update(repr(value.tolist()).encode())
            else:
                digest.update(value.tobytes())
        digests.append(digest.digest())
    return digests


def _loaded(dataset: tf.data.Dataset, numbers: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """The samples of these numbers as one array for each feature."""
    wanted = set(numbers.tolist())
    samples = [sample for number, sample in enumerate(_samples(dataset, where)) if number in wanted]
    return {name: _stacked([sample[name] for sample in samples], spec) for name, spec in dataset.element_spec.items()}


def _stacked(values: list[Any], spec: tf.TensorSpec) -> np.ndarray:
    """The values of one feature, ``(n, ...)``."""
    dtype = object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
    return np.array(values, dtype).reshape(len(values), *spec.shape)
