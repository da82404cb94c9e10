"""Where batches are read from: arrays in memory, or records on disk that are decoded as they are needed."""

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfdl.data.order import epoch_order


class Source(Protocol):
    """A split's samples by number."""

    num_examples: int
    unit: str
    """What its samples are called, such as ``training samples``."""

    def read(self, indices: Any) -> dict[str, Any]:
        """A batch of features for an int64 vector of sample numbers; runs inside a TensorFlow graph."""
        ...

    def epoch_order(self, seed: int, epoch: int, block: int) -> np.ndarray:
        """The order of an epoch's samples, each once, over all ranks; ``block`` of them are a global batch."""
        ...


class Shuffled:
    """Samples that may stand in any order."""

    num_examples: int
    unit: str = "training samples"

    def epoch_order(self, seed: int, epoch: int, block: int) -> np.ndarray:  # noqa: ARG002
        """A random permutation, which does not depend on the batches that it is cut into."""
        return epoch_order(self.num_examples, seed, epoch)


class ArraySource(Shuffled):
    """Features held decoded in memory: a batch is one gather.

    Args:
        features: arrays with one row a sample, such as ``{"image": (n, h, w, c), "label": (n,)}``.
    """

    def __init__(self, features: dict[str, np.ndarray]):
        self.num_examples = len(next(iter(features.values())))
        with tf.device("CPU:0"):
            self._features = {name: tf.constant(values) for name, values in features.items()}

    def read(self, indices: Any) -> dict[str, Any]:
        return {name: tf.gather(values, indices) for name, values in self._features.items()}


class Records(Protocol):
    """A split's serialized examples by number."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Serialized examples, an object array in the order of ``indices``."""
        ...


class RecordSource(Shuffled):
    """Features decoded from a prepared split at each reading; holds nothing but where the records are.

    Args:
        records: the undecoded split.
        decode: one serialized example to its features, inside a graph.
        signature: a ``tf.TensorSpec`` for each feature of one sample.
    """

    def __init__(self, records: Records, decode: Any, signature: dict[str, tf.TensorSpec]):
        self.num_examples = len(records)
        self.signature = signature
        self._records, self._decode = records, decode

    def read(self, indices: Any) -> dict[str, Any]:
        serialized = tf.ensure_shape(tf.numpy_function(self._records.read, [indices], tf.string), [None])
        features: dict[str, Any] = tf.map_fn(self._decode, serialized, fn_output_signature=self.signature)
        return features
