"""The state of a recurrent language model, carried from each step's windows to the next step's."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.tokens.windows import BEGINS
from tfdl.distributed import World

Rows = dict[str, np.ndarray]
"""The state of the rows of the global batch, by feature name; each array is ``(rows, units)``."""


class CarriedState(ABC):
    """State that a step reads and writes besides the weights and the optimizer's state."""

    names: Sequence[str] = ()
    """Names of the features that ``joined`` adds to a batch."""

    @abstractmethod
    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the batch with more features: the state that each of its rows continues from."""

    @abstractmethod
    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:
        """Returns the model's outputs in training, and the state after the batch.

        Args:
            batch: a joined batch, or some of its rows.
            inputs: the task's inputs of these rows.
        """

    @abstractmethod
    def keep(self, batch: Mapping[str, Any], states: list[Any], is_done: Any) -> None:
        """Ends a step: the next one continues from ``states``.

        Args:
            batch: the step's batch.
            states: what ``outputs`` returned, for all rows.
            is_done: scalar boolean; nothing changes after a step that was not done.
        """

    @abstractmethod
    def gathered(self) -> Rows | None:
        """Returns all ranks' rows for a checkpoint, or None if there are none. Every rank must call it."""

    @abstractmethod
    def restore(self, rows: Rows | None, sample: int, global_batch: int) -> bool:
        """Restores this rank's rows.

        Args:
            rows: from ``gathered``.
            sample: samples of the epoch that are done.
            global_batch: the global batch size that the epoch's order was made for.

        Returns:
            Whether each row continues its stream. At the start of an epoch this is always true.
        """


class NoCarriedState(CarriedState):
    """For models without a state: batches are independent of each other."""

    def __init__(self, model: Any):
        self._model = model

    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return dict(batch)

    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:  # noqa: ARG002
        return self._model(inputs, training=True), []

    def keep(self, batch: Mapping[str, Any], states: list[Any], is_done: Any) -> None:  # noqa: ARG002
        """Nothing to keep."""
        assert not states

    def gathered(self) -> Rows | None:
        return None

    def restore(self, rows: Rows | None, sample: int, global_batch: int) -> bool:  # noqa: ARG002
        return True


class RecurrentState(CarriedState):
    """The state of each row of this rank's batches, in variables that the step reads and writes inside its graph.

    The state of a row is set to zero where its window begins a stream (``BEGINS``), so the first step of an epoch is
    no special case. Row ``j`` of rank ``i`` of ``n`` ranks is row ``j * n + i`` of the global batch, which is how
    ``data.order.shard_rows`` distributes them. So a saved state can be restored on another number of ranks with the
    same global batch size. If a run continues within an epoch with another global batch size, rows no longer follow
    their streams. Every window then begins with zeros until the next epoch.

    Args:
        model: with ``initial_state`` and ``with_state`` (see ``tfdl.models.rnn.RNNLanguageModel``).
        rows: the rows of a whole batch on this rank.
        world: the ranks.
    """

    def __init__(self, model: Any, rows: int, world: World):
        self._model = model
        self._rows = rows
        self._world = world
        self._initial = model.initial_state(rows)
        # 16-bit values are kept in float32, which holds them exactly and which every file format knows.
        self._values = [
            tf.Variable(tf.cast(value, tf.float64 if value.dtype == tf.float64 else tf.float32), trainable=False)
            for value in tf.nest.flatten(self._initial)
        ]
        self._follows_streams = tf.Variable(False, trainable=False)
        self.names = [f"state_{number}" for number in range(len(self._values))]

    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """See ``CarriedState.joined``."""
        begins = batch[BEGINS][:, tf.newaxis]  # (b, 1)
        num_rows = tf.shape(begins)[0]  # fewer than self._rows at the end of an epoch
        joined = dict(batch)
        for name, variable in zip(self.names, self._values, strict=True):
            state = variable[:num_rows]  # (b, units)
            joined[name] = tf.where(begins, tf.zeros_like(state), state)
        return joined

    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:
        """See ``CarriedState.outputs``."""
        initial = tf.nest.flatten(self._initial)
        states = [tf.cast(batch[name], value.dtype) for name, value in zip(self.names, initial, strict=True)]
        structured = tf.nest.pack_sequence_as(self._initial, states)
        logits, after = self._model.with_state(inputs, structured, training=True)
        after = [
            tf.cast(_finite(value), variable.dtype)
            for value, variable in zip(tf.nest.flatten(after), self._values, strict=True)
        ]
        return logits, after

    def keep(self, batch: Mapping[str, Any], states: list[Any], is_done: Any) -> None:
        """See ``CarriedState.keep``."""
        follows = tf.logical_or(self._follows_streams, tf.reduce_any(batch[BEGINS]))
        self._follows_streams.assign(tf.where(is_done, follows, self._follows_streams))
        for variable, value in zip(self._values, states, strict=True):
            kept = tf.where(follows, value, tf.zeros_like(value))
            missing_rows = self._rows - tf.shape(kept)[0]
            kept = tf.pad(kept, [[0, missing_rows], [0, 0]])
            variable.assign(tf.where(is_done, kept, variable))

    def gathered(self) -> Rows | None:
        """Returns all ranks' rows in the order of the global batch; None if rows do not follow streams."""
        if not bool(self._follows_streams.numpy()):
            return None
        gathered = {}
        for name, value in zip(self.names, self._values, strict=True):
            by_rank = np.asarray(self._world.all_gather(value.value()))  # (ranks * rows, units)
            interleaved = np.stack(np.split(by_rank, self._world.size), 1)  # (rows, ranks, units)
            gathered[name] = interleaved.reshape(by_rank.shape)
        return gathered

    def restore(self, rows: Rows | None, sample: int, global_batch: int) -> bool:
        """See ``CarriedState.restore``."""
        world = self._world
        is_same_batch = global_batch == self._rows * world.size and sample % global_batch == 0
        fits = rows is not None and is_same_batch and self._have_shapes(rows, global_batch)
        self._follows_streams.assign(fits)
        for name, variable in zip(self.names, self._values, strict=True):
            if rows is not None and fits:
                variable.assign(rows[name][world.rank :: world.size])
            else:
                variable.assign(tf.zeros_like(variable))
        return fits or sample == 0

    def _have_shapes(self, rows: Rows, count: int) -> bool:
        """Whether a file has the state of so many rows, of this model."""
        values = zip(self.names, self._values, strict=True)
        return all(name in rows and rows[name].shape == (count, *value.shape[1:]) for name, value in values)


def _finite(value: Any) -> Any:
    """Replaces infinite and NaN values of a 16-bit state by zero.

    The state may overflow in a step that is skipped, and must not reach the steps after it.
    """
    if value.dtype.size >= 4:
        return value
    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))
