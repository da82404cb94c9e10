"""What a recurrent language model has read so far, carried from each step's windows to the next one's."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.tokens.windows import BEGINS
from tfdl.distributed import World


class CarriedState:
    """The state of each row of this rank's batches, in variables that the step reads and writes inside its graph.

    Rows whose window begins a stream (``BEGINS``) begin at zero; so an epoch's first step needs no other sign. Row
    ``j`` of rank ``i`` of ``n`` is row ``j * n + i`` of the global batch, as ``data.order.shard_rows`` deals them out;
    so a state that was saved on some ranks goes on on others with the same global batch. Where a run goes on within an
    epoch with another global batch, rows no longer follow their streams: every window then begins at zero, until the
    next epoch does.

    Args:
        model: with ``initial_state`` and ``with_state`` (see ``tfdl.models.rnn.RNNLanguageModel``).
        rows: rows of a batch of this rank.
        world: the ranks.

    Attributes:
        names: of the features that a batch is joined with.
    """

    def __init__(self, model: Any, rows: int, world: World):
        self._model, self._rows, self._world = model, rows, world
        self._start = model.initial_state(rows)
        # A step in 16 bits comes back exactly from float32, which every file format knows.
        self._values = [
            tf.Variable(tf.cast(value, tf.float64 if value.dtype == tf.float64 else tf.float32), trainable=False)
            for value in tf.nest.flatten(self._start)
        ]
        self._follows = tf.Variable(False, trainable=False)
        self.names = [f"state_{place}" for place in range(len(self._values))]

    def joined(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch with the state that each of its rows goes on from, as more features."""
        begins = batch[BEGINS][:, tf.newaxis]
        rows = tf.shape(begins)[0]  # fewer at an epoch's end
        states = [tf.where(begins, tf.zeros_like(value[:rows]), value[:rows]) for value in self._values]
        return {**batch, **dict(zip(self.names, states, strict=True))}

    def outputs(self, batch: Mapping[str, Any], inputs: Any) -> tuple[Any, list[Any]]:
        """The model's outputs for a joined batch (or rows of it), and the state after it, in the order of features."""
        kinds = tf.nest.flatten(self._start)
        states = [tf.cast(batch[name], kind.dtype) for name, kind in zip(self.names, kinds, strict=True)]
        logits, after = self._model.with_state(inputs, tf.nest.pack_sequence_as(self._start, states), training=True)
        return logits, [
            tf.cast(_finite(value), variable.dtype)
            for value, variable in zip(tf.nest.flatten(after), self._values, strict=True)
        ]

    def keep(self, batch: Mapping[str, Any], after: list[Any]) -> None:
        """Ends a step: the next one goes on from ``after``."""
        follows = tf.logical_or(self._follows, tf.reduce_any(batch[BEGINS]))
        self._follows.assign(follows)
        for variable, value in zip(self._values, after, strict=True):
            kept = tf.where(follows, value, tf.zeros_like(value))
            variable.assign(tf.pad(kept, [[0, self._rows - tf.shape(kept)[0]], [0, 0]]))

    def gathered(self) -> dict[str, np.ndarray] | None:
        """All ranks' rows, as rows of the global batch; called on every rank. None where rows follow no streams."""
        if not bool(self._follows.numpy()):
            return None
        found = {}
        for name, value in zip(self.names, self._values, strict=True):
            everyone = np.asarray(self._world.all_gather(value.value()))  # (ranks * rows, U)
            found[name] = np.stack(np.split(everyone, self._world.size), 1).reshape(everyone.shape)
        return found

    def restore(self, found: Mapping[str, np.ndarray] | None, sample: int, block: int) -> bool:
        """Takes this rank's rows out of what was gathered.

        Args:
            found: from ``gathered``.
            sample: samples of the epoch that are done.
            block: the global batch that the epoch's order was made for.

        Returns:
            Whether the rows follow their streams from here on; at an epoch's start they do in any case.
        """
        size = self._world.size
        fits = found is not None and block == self._rows * size and sample % block == 0
        self._follows.assign(fits)
        for name, value in zip(self.names, self._values, strict=True):
            value.assign(found[name][self._world.rank :: size] if found is not None and fits else tf.zeros_like(value))
        return fits or sample == 0


def _finite(value: Any) -> Any:
    """In 16 bits a step may overflow, and is skipped; what it leaves must not spoil those that follow."""
    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value)) if value.dtype.size < 4 else value
