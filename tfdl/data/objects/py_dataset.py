"""A ``keras.utils.PyDataset`` as a source."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.objects.structure import named_features
from tfdl.data.order import epoch_order
from tfdl.data.python_reading import python_columns
from tfdl.data.sources import ShuffledSource
from tfdl.errors import UserError

# Batches of the data set that are kept in memory, since the next batch of the run often needs samples of the same ones.
_KEPT_BATCHES = 4


class PyDatasetSource(ShuffledSource):
    """The samples of a ``keras.utils.PyDataset``, which makes a whole batch at a time.

    An epoch reads the data set's batches in random order, and the samples of a batch one after the other. So a rank
    makes each batch that it reads from only once. ``on_epoch_end`` is not called, since tfdl decides the order.

    Args:
        dataset: the data set.
        roles: what a sample consists of.
        where: what is read, for messages.
        batches: numbers of the batches that belong to this source; ``None`` stands for all.

    Raises:
        UserError: no batches, batches of unequal sizes before the last, batches of different features, shapes or
            dtypes, or samples that do not have the roles.
    """

    def __init__(self, dataset: Any, roles: Sequence[str], where: str, batches: np.ndarray | None = None):
        self._dataset = dataset
        self._roles = tuple(roles)
        self._where = where
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, dict[str, np.ndarray]] = OrderedDict()
        count = _num_batches(dataset, where)
        self._batches = np.arange(count) if batches is None else batches
        self._first: dict[str, np.ndarray] = {}
        first = self._first = self._batch(0)
        # Whether batches differ is known when they are made. What differs is mostly seen in these two.
        self._batch(count // 2)
        last = self._batch(count - 1)
        sizes = np.full(count, _rows(first))
        sizes[-1] = _rows(last)
        self._sizes = sizes[self._batches]
        self._ends = np.cumsum(self._sizes)
        self.num_examples = int(self._ends[-1])
        self.signature = {name: tf.TensorSpec(values.shape[1:], values.dtype) for name, values in first.items()}
        self.notes: tuple[str, ...] = ()
        if not self._repeats(first):
            self.notes = (f"{where}: batches change from one reading to the next",)

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        return python_columns(self._read, indices, self.signature, stateful=False)

    def epoch_order(self, seed: int, epoch: int, global_batch: int) -> np.ndarray:  # noqa: ARG002
        """Whole batches of the data set in random order."""
        starts = self._ends - self._sizes
        batch_order = epoch_order(len(self._batches), seed, epoch)
        return np.concatenate([np.arange(starts[batch], self._ends[batch]) for batch in batch_order])

    def subset(self, batches: np.ndarray) -> "PyDatasetSource":
        """The samples of some of the batches.

        Args:
            batches: numbers of the data set's batches, rising.
        """
        return PyDatasetSource(self._dataset, self._roles, self._where, batches)

    @property
    def num_batches(self) -> int:
        """The number of batches that belong to this source."""
        return len(self._batches)

    def _read(self, indices: np.ndarray) -> list[np.ndarray]:
        batch_numbers = np.searchsorted(self._ends, indices, side="right")  # (b,), among this source's batches
        starts = self._ends - self._sizes
        rows = indices - starts[batch_numbers]  # (b,), within the batches
        columns = {
            name: np.empty((len(indices), *spec.shape), _numpy_dtype(spec)) for name, spec in self.signature.items()
        }
        with self._lock:
            for number in np.unique(batch_numbers):
                batch = self._batch(int(self._batches[number]))
                is_of_batch = batch_numbers == number
                for name, column in columns.items():
                    column[is_of_batch] = batch[name][rows[is_of_batch]]
        return list(columns.values())

    def _batch(self, number: int) -> dict[str, np.ndarray]:
        """A batch by its number in the data set, from memory if it was read lately."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        batch = self._make(number)
        self._kept[number] = batch
        while len(self._kept) > _KEPT_BATCHES:
            self._kept.popitem(last=False)
        return batch

    def _make(self, number: int) -> dict[str, np.ndarray]:
        """A batch by its number in the data set, made anew.

        Raises:
            UserError: features of different lengths, or a batch that is not like the first.
        """
        features = named_features(self._dataset[number], self._roles, self._where)
        batch = {name: np.asarray(value) for name, value in features.items()}
        num_rows = _rows(batch)
        first = self._first or batch  # there is none yet when it is made itself
        expected_rows = _rows(first)
        is_last = number == _num_batches(self._dataset, self._where) - 1
        is_unequal = any(len(values) != num_rows for values in batch.values())
        if is_unequal or (num_rows != expected_rows and not is_last):
            shown = ", ".join(f"{name} has {len(values)}" for name, values in batch.items())
            raise UserError(
                f"batch {number} of {self._where}: {shown} rows, expected {expected_rows} in each but the last batch"
            )
        _check_like_first(batch, first, f"batch {number} of {self._where}")
        return batch

    def _repeats(self, first: dict[str, np.ndarray]) -> bool:
        """Whether the first batch is the same when it is made again."""
        again = self._make(0)
        return all(np.array_equal(first[name], again[name]) for name in first)


def _num_batches(dataset: Any, where: str) -> int:
    count = dataset.num_batches  # Keras takes __len__ if the class has one
    if count is None:
        raise UserError(f"{where} never ends, expected a known number of batches (num_batches)")
    if count == 0:
        raise UserError(f"{where} has no batches, expected at least 1")
    return int(count)


def _check_like_first(batch: dict[str, np.ndarray], first: dict[str, np.ndarray], where: str) -> None:
    """Raises an error if a batch has other features than the first, of other shapes, or of values that it cannot hold.

    Args:
        batch: the batch.
        first: the first batch, whose shapes and dtypes are those of the source.
        where: which batch it is, for messages.
    """
    if batch.keys() != first.keys():
        raise UserError(f"{where} has {', '.join(batch)}, expected the features of batch 0: {', '.join(first)}")
    for name, values in batch.items():
        shape = values.shape[1:]
        expected_shape = first[name].shape[1:]
        if shape != expected_shape:
            raise UserError(
                f"{where}: the samples of {name} have the shape {shape}, expected {expected_shape} as in batch 0; pad"
                " all batches to one length"
            )
        # An array of texts has another dtype for each length of its longest text.
        is_text = _is_text(values) and _is_text(first[name])
        if not is_text and not np.can_cast(values.dtype, first[name].dtype, "safe"):
            raise UserError(
                f"{where}: {name} has the dtype {values.dtype}, expected {first[name].dtype} as in batch 0; give all"
                " batches one dtype"
            )


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind in "USO"


def _rows(batch: dict[str, np.ndarray]) -> int:
    """The number of samples in a batch."""
    return len(next(iter(batch.values())))


def _numpy_dtype(spec: tf.TensorSpec) -> Any:
    """The dtype of arrays of a feature; for texts it is ``object``."""
    return object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
