"""The state of a recurrent language model, carried from each step's windows to the next step's."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.tokens.windows import BEGINS
from tfdl.distributed import World

Rows = dict[str, np.ndarray]
"""State of each row of the global batch by feature name, each ``(rows, units)``."""


class CarriedState(ABC):
    """What a step reads and writes besides weights and optimizer."""

    names: Sequence[str] = ()
    """Features that a batch is joined with."""

    @abstractmethod
    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with the state that each of its rows continues from, as more features."""

    @abstractmethod
    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:
        """The model's outputs in training, and the state after the batch.

        Args:
            batch: a joined batch, or some of its rows.
            inputs: the task's inputs of these rows.
        """

    @abstractmethod
    def keep(self, batch: Mapping[str, Any], states: list[Any]) -> None:
        """Ends a step: the next one continues from ``states``.

        Args:
            batch: the step's batch.
            states: what ``outputs`` returned, for all rows.
        """

    @abstractmethod
    def gathered(self) -> Rows | None:
        """All ranks' rows, for a checkpoint; called on every rank. None if there is nothing to keep."""

    @abstractmethod
    def restore(self, rows: Rows | None, sample: int, global_batch: int) -> bool:
        """Takes this rank's rows out of what was gathered.

        Args:
            rows: from ``gathered``.
            sample: samples of the epoch that are done.
            global_batch: the global batch that the epoch's order was made for.

        Returns:
            Whether the rows follow their streams from here on; at an epoch's start they do in any case.
        """


class NoCarriedState(CarriedState):
    """For models without a state: each batch stands alone."""

    def __init__(self, model: Any):
        self._model = model

    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return dict(batch)

    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:  # noqa: ARG002
        return self._model(inputs, training=True), []

    def keep(self, batch: Mapping[str, Any], states: list[Any]) -> None:  # noqa: ARG002
        """Nothing to keep."""
        assert not states

    def gathered(self) -> Rows | None:
        return None

    def restore(self, rows: Rows | None, sample: int, global_batch: int) -> bool:  # noqa: ARG002
        return True


class RecurrentState(CarriedState):
    """The state of each row of this rank's batches, in variables that the step reads and writes inside its graph.

    Rows whose window begins a stream (``BEGINS``) begin at zero, so an epoch's first step needs no special case. Row
    ``j`` of rank ``i`` of ``n`` is row ``j * n + i`` of the global batch, as ``data.order.shard_rows`` deals them out;
    so a state that was saved on some ranks continues on others with the same global batch. If a run continues within an
    epoch with another global batch, rows no longer follow their streams: every window then begins at zero, until the
    next epoch.

    Args:
        model: with ``initial_state`` and ``with_state`` (see ``tfdl.models.rnn.RNNLanguageModel``).
        rows: rows of a batch of this rank.
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
        begins = batch[BEGINS][:, tf.newaxis]
        num_rows = tf.shape(begins)[0]  # fewer at an epoch's end
        states = [tf.where(begins, tf.zeros_like(value[:num_rows]), value[:num_rows]) for value in self._values]
        return {**batch, **dict(zip(self.names, states, strict=True))}

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

    def keep(self, batch: Mapping[str, Any], states: list[Any]) -> None:
        """See ``CarriedState.keep``."""
        follows = tf.logical_or(self._follows_streams, tf.reduce_any(batch[BEGINS]))
        self._follows_streams.assign(follows)
        for variable, value in zip(self._values, states, strict=True):
            kept = tf.where(follows, value, tf.zeros_like(value))
            missing_rows = self._rows - tf.shape(kept)[0]
            variable.assign(tf.pad(kept, [[0, missing_rows], [0, 0]]))

    def gathered(self) -> Rows | None:
        """All ranks' rows in the order of the global batch; None if rows follow no streams."""
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
        fits = rows is not None and global_batch == self._rows * world.size and sample % global_batch == 0
        self._follows_streams.assign(fits)
        for name, variable in zip(self.names, self._values, strict=True):
            if rows is not None and fits:
                variable.assign(rows[name][world.rank :: world.size])
            else:
                variable.assign(tf.zeros_like(variable))
        return fits or sample == 0


def _finite(value: Any) -> Any:
    """16-bit states may overflow in a step that is skipped; the steps that follow must not inherit that."""
    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value)) if value.dtype.size < 4 else value
