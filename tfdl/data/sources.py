"""Sources: a split's samples by number, in memory or on disk."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfdl.data.order import epoch_order
from tfdl.data.python_reading import python_records


@runtime_checkable
class Source(Protocol):
    """A split's samples by number. ``ShuffledSource`` is a base class for most sources."""

    num_examples: int
    """Number of samples."""
    unit: str
    """What its samples are called in messages, such as ``training samples``."""
    parallel_reads: bool
    """Whether several batches may be read at once and in any order; otherwise they are read one by one, in order."""

    def read(self, indices: Any) -> dict[str, Any]:
        """A batch of features; runs inside a TensorFlow graph.

        Args:
            indices: sample numbers, int64 ``(b,)``.

        Returns:
            Feature name -> tensor ``(b, ...)``.
        """
        ...

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:
        """The order of an epoch: the sample numbers to read, over all ranks.

        Args:
            seed: of the run.
            epoch: number of the epoch, from 0.
            global_batch: samples in a batch over all ranks.

        Returns:
            int64 ``(num_examples,)``; it depends on nothing but the arguments.
        """
        ...

    def evaluation_pieces(self, batch_size: int, most_tokens: int | None) -> list[np.ndarray]:
        """The samples that are evaluated together, each once.

        Args:
            batch_size: most samples in a batch.
            most_tokens: most tokens in a batch, if samples are texts; ``None`` sets no limit.

        Returns:
            Sample numbers, an int64 array for each batch.
        """
        ...


def sample_counts(sources: Mapping[str, Source]) -> dict[str, int]:
    """Split -> number of samples.

    Args:
        sources: the splits.
    """
    return {split: int(source.num_examples) for split, source in sources.items()}


class StreamedSource(Source, Protocol):
    """A source of streams, for recurrent models that carry their state from one batch to the next."""

    def segments(self) -> list[np.ndarray]:
        """Groups of streams for an evaluation.

        Returns:
            For each group the sample numbers ``(steps, rows)``, in the order of the steps; -1 after the end of a
            stream.
        """
        ...


class TextSource(Source, Protocol):
    """A source of tokens that also keeps the texts they were made from."""

    def spread(self, most: int) -> "TextSource":
        """At most ``most`` of the samples, evenly spread over the split."""
        ...

    def texts(self, *roles: str) -> dict[str, np.ndarray]:
        """Role -> the samples' texts, an object array ``(n,)``."""
        ...


class ShuffledSource:
    """A source whose samples may be read in any order.

    Subclasses set ``num_examples`` and define ``read``.
    """

    num_examples: int
    unit: str = "training samples"
    parallel_reads: bool = True

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        raise NotImplementedError

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        """A random permutation, the same for any ``global_batch``."""
        return epoch_order(self.num_examples, seed, epoch)

    def evaluation_pieces(self, batch_size: int, most_tokens: int | None) -> list[np.ndarray]:  # noqa: ARG002
        """Consecutive samples, in the split's own order."""
        cuts = range(batch_size, self.num_examples, batch_size)
        return np.split(np.arange(self.num_examples), cuts)


class ArraySource(ShuffledSource):
    """Features held decoded in memory; reading a batch is one gather for each feature.

    Args:
        features: arrays with one row for each sample, such as ``{"image": (n, h, w, c), "label": (n,)}``.
    """

    def __init__(self, features: dict[str, np.ndarray]):
        self.num_examples = len(next(iter(features.values())))
        with tf.device("CPU:0"):
            self._features = {name: tf.constant(values) for name, values in features.items()}

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """A ``tf.TensorSpec`` for each feature of one sample."""
        return {name: tf.TensorSpec(values.shape[1:], values.dtype) for name, values in self._features.items()}

    def values(self, name: str) -> np.ndarray:
        """A feature of all samples, ``(n, ...)``.

        Args:
            name: the feature.
        """
        return np.asarray(self._features[name])

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        return {name: tf.gather(values, indices) for name, values in self._features.items()}


class Records(Protocol):
    """A split's serialized examples by number."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Serialized examples, an object array in the order of ``indices``."""
        ...


class RecordSource(ShuffledSource):
    """Features decoded from records on disk at each reading; only the records' positions are held in memory.

    Args:
        records: the serialized examples.
        decode: turns one serialized example into its features, inside a graph.
        signature: a ``tf.TensorSpec`` for each feature of one sample.
    """

    def __init__(self, records: Records, decode: Any, signature: dict[str, tf.TensorSpec]):
        self.num_examples = len(records)
        self.signature = signature
        self._records = records
        self._decode = decode

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        serialized = python_records(self._records.read, indices)
        features: dict[str, Any] = tf.map_fn(self._decode, serialized, fn_output_signature=self.signature)
        return features
