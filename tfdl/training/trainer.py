"""One optimizer step: forward, backward, one reduction over the ranks, update."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import DynamicLossScale, World, reduce_gradients
from tfdl.distributed.loss_scale import all_finite
from tfdl.distributed.world import statistics_weight
from tfdl.training.carried_state import CarriedState
from tfdl.training.micro_batches import cut


class Trainer:
    """Trains a Keras model on batches of a task.

    The model and optimizer are plain Keras objects and know nothing of ranks: the gradients are reduced here, before
    the optimizer clips and applies them.

    Args:
        model: inputs to outputs, as the task understands them.
        optimizer: any Keras optimizer.
        task: inputs, losses and running sums of a batch (see ``tfdl.tasks``).
        world: the ranks that train together.
        accumulation_steps: pieces that a batch is computed in, one after the other, before the one reduction and the
            one update. Batch statistics are those of a piece; all else is as for the whole batch.
        compression: ``float16`` or ``bfloat16`` sends float32 gradients in half the bytes, rounded.
        carried: the state that a recurrent language model goes on from, if it does.
        loss_scale: for float16; none where gradients need no scaling. A step whose gradients are not finite is skipped:
            it changes neither weights nor batch statistics nor the optimizer, on no rank. Its loss counts in the
            metrics unless it is itself no number.

    Attributes:
        xla: whether XLA compiles the forward and backward pass of a batch (of a piece, where there are several), once
            for each shape of it. To be set before the first step; the reduction and the update stay outside.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        task: Any,
        world: World,
        *,
        accumulation_steps: int = 1,
        compression: str = "none",
        loss_scale: DynamicLossScale | None = None,
        carried: CarriedState | None = None,
    ):
        self.model, self.optimizer, self.task, self.world = model, optimizer, task, world
        self.accumulation_steps, self.loss_scale, self.carried = accumulation_steps, loss_scale, carried
        self._wire_dtype = None if compression == "none" else compression
        self.xla = False
        optimizer.build(model.trainable_variables)
        # Sums of the running metrics, and of the weights, since they were last taken.
        self._sums = tf.Variable(tf.zeros([len(task.running_metrics) + 1], tf.float64), trainable=False)
        self._run_steps = tf.function(self._steps, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Everything that must be equal on all ranks before the first step."""
        return [*self.model.variables, *self.update_variables]

    @property
    def update_variables(self) -> list[Any]:
        """The optimizer's state, and the loss scale's."""
        return [*self.optimizer.variables, *(self.loss_scale.variables if self.loss_scale else [])]

    def run(self, batches: Any, num_steps: int) -> None:
        """Takes ``num_steps`` batches from the iterator, a step for each, without coming back to Python between."""
        self._run_steps(batches, tf.constant(num_steps))

    def joined(self, batch: Any) -> Any:
        """The batch as ``gradients`` takes it: with the state that its rows go on from, of a model that carries one."""
        return batch if self.carried is None else self.carried.joined(batch)

    def gradients(self, batch: Any, xla: bool) -> tuple[list[Any], Any, list[Any]]:
        """The gradient of the mean loss over all ranks' samples, this rank's sums, and the state after: a step without
        its update.

        Without XLA a buffer of gradients leaves as soon as they are there, and the backward pass goes on meanwhile;
        what XLA has compiled answers with all of them at once.
        """
        run = self._forward_backward
        if xla:
            run = tf.function(self._forward_backward, jit_compile=True, reduce_retracing=True)
        gradients, sums, after = run(batch) if self.accumulation_steps == 1 else self._accumulated(batch, run)
        return reduce_gradients(gradients, sums[-1], self.world, wire_dtype=self._wire_dtype), sums, after

    def take_sums(self, *extra: float) -> np.ndarray:
        """The running sums and the weight over all ranks since the last call, then the ranks' sum of ``extra``."""
        mine = tf.concat([self._sums.value(), tf.constant(list(extra), tf.float64)], 0)
        self._sums.assign(tf.zeros_like(self._sums))
        return np.asarray(self.world.all_reduce(mine))

    def _steps(self, batches: Any, num_steps: Any) -> None:
        for _ in tf.range(num_steps):
            self._step(next(batches))

    def _step(self, batch: Any) -> None:
        before, batch = self._statistics(), self.joined(batch)
        reduced, sums, after = self.gradients(batch, self.xla)
        applied = self._update(reduced, before)
        self._sums.assign_add(self._counted(sums, applied))
        if self.carried is not None:
            self.carried.keep(batch, after)

    def _forward_backward(self, batch: Any) -> tuple[list[Any], Any, list[Any]]:
        """The gradients of the batch's loss *sum*, the sums of the running metrics and of the weights, and the state.

        The sum, not the mean: pieces and ranks add up, and are divided once by all samples' weight.
        """
        with tf.GradientTape() as tape, statistics_weight(self._present(batch)):
            outputs, after = self._outputs(batch)
            losses, weights = self.task.losses(batch, outputs)  # (B,), (B,)
            weight = tf.reduce_sum(weights)
            objective = tf.reduce_sum(losses * weights) + weight * self._penalty()
            if self.loss_scale is not None:
                objective = self.loss_scale.scaled(objective)
        variables = self.model.trainable_variables
        gradients = list(map(_shaped, tape.gradient(objective, variables), variables))
        sums = [*self.task.running_sums(batch, outputs, losses), weight]
        return gradients, tf.stack([tf.cast(value, tf.float64) for value in sums]), after

    def _outputs(self, batch: Any) -> tuple[Any, list[Any]]:
        """The model's outputs, and the state after the batch, if it carries one."""
        inputs = self.task.inputs(batch)
        return (self.model(inputs, training=True), []) if self.carried is None else self.carried.outputs(batch, inputs)

    def _accumulated(self, batch: Any, run: Any) -> tuple[list[Any], Any, list[Any]]:
        """The same sums, piece by piece."""
        batch, cuts = cut(batch, self.accumulation_steps)
        variables = self.model.trainable_variables
        totals = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        sums = tf.zeros_like(self._sums)
        states = [] if self.carried is None else [batch[name] for name in self.carried.names]
        untouched: set[int] = set()  # filled while the loop is traced
        for piece in tf.range(self.accumulation_steps):
            # One after the other: synchronized statistics of two pieces at once would be taken for each other's.
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            rows = {name: value[cuts[piece] : cuts[piece + 1]] for name, value in batch.items()}
            gradients, more, after = run(rows)
            untouched.update(place for place, gradient in enumerate(gradients) if gradient is None)
            totals = _added(totals, gradients)
            sums += more
            places = tf.range(cuts[piece], cuts[piece + 1])[:, tf.newaxis]
            states = [tf.tensor_scatter_nd_update(state, places, new) for state, new in zip(states, after, strict=True)]
        return [None if place in untouched else total for place, total in enumerate(totals)], sums, states

    def _update(self, gradients: Sequence[Any], before: Sequence[Any]) -> Any:
        """Whether the step was applied, and not skipped."""
        variables = self.model.trainable_variables
        if self.loss_scale is None:
            self.optimizer.apply(gradients, variables)
            return True
        gradients = self.loss_scale.unscaled(gradients)
        finite = all_finite(gradients)
        if finite:
            self.optimizer.apply(gradients, variables)
        else:
            self._restore(before)
        self.loss_scale.update(finite)
        return finite

    def _statistics(self) -> list[Any]:
        """The weights that a forward pass may change, as they are now, where a step may have to be undone."""
        return [] if self.loss_scale is None else list(map(tf.convert_to_tensor, self.model.non_trainable_weights))

    def _restore(self, statistics: Sequence[Any]) -> None:
        for variable, value in zip(self.model.non_trainable_weights, statistics, strict=True):
            variable.assign(value)

    def _counted(self, sums: Any, applied: Any) -> Any:
        """The sums to report: all but those of a skipped step that are no numbers, which would spoil the epoch's."""
        if self.loss_scale is None:
            return sums
        counts = tf.logical_or(applied, tf.reduce_all(tf.math.is_finite(sums)))
        return tf.where(counts, sums, tf.zeros_like(sums))

    def _present(self, batch: Any) -> Any:
        """1.0 for a batch of samples, 0.0 for a stand-in on a rank that has no sample of this step."""
        return tf.cast(tf.reduce_any(batch[WEIGHT] > 0), tf.float32) if WEIGHT in batch else 1.0

    def _penalty(self) -> Any:
        """The model's own losses (weight decay in the loss, say); 0 without any."""
        return tf.add_n(self.model.losses) if self.model.losses else 0.0


def _shaped(gradient: Any, variable: Any) -> Any:
    """The gradient with its variable's shape, which a graph may have lost (a dense layer's on sequences of any length);
    buckets are filled by it."""
    if isinstance(gradient, tf.Tensor):
        gradient.set_shape(variable.shape)
    return gradient


def _added(totals: list[Any], gradients: Sequence[Any]) -> list[Any]:
    return [
        total if gradient is None else total + tf.convert_to_tensor(gradient)
        for total, gradient in zip(totals, gradients, strict=True)
    ]
