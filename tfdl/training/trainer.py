"""One optimizer step: forward, backward, one reduction over the ranks, update."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import World, reduce_gradients
from tfdl.distributed.world import statistics_weight


class Trainer:
    """Trains a Keras model on batches of a task.

    The model and optimizer are plain Keras objects and know nothing of ranks: the gradients are reduced here, before
    the optimizer clips and applies them.

    Args:
        model: inputs to outputs, as the task understands them.
        optimizer: any Keras optimizer.
        task: inputs, losses and running sums of a batch (see ``tfdl.tasks``).
        world: the ranks that train together.
    """

    def __init__(self, model: Any, optimizer: Any, task: Any, world: World):
        self.model, self.optimizer, self.task, self.world = model, optimizer, task, world
        optimizer.build(model.trainable_variables)
        # Sums of the running metrics, and of the weights, since they were last taken.
        self._sums = tf.Variable(tf.zeros([len(task.running_metrics) + 1], tf.float64), trainable=False)
        self._run_steps = tf.function(self._steps, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Everything that must be equal on all ranks before the first step."""
        return [*self.model.variables, *self.optimizer.variables]

    def run(self, batches: Any, num_steps: int) -> None:
        """Takes ``num_steps`` batches from the iterator, a step for each, without coming back to Python between."""
        self._run_steps(batches, tf.constant(num_steps))

    def take_sums(self, *extra: float) -> np.ndarray:
        """The running sums and the weight over all ranks since the last call, then the ranks' sum of ``extra``."""
        mine = tf.concat([self._sums.value(), tf.constant(list(extra), tf.float64)], 0)
        self._sums.assign(tf.zeros_like(self._sums))
        return np.asarray(self.world.all_reduce(mine))

    def _steps(self, batches: Any, num_steps: Any) -> None:
        for _ in tf.range(num_steps):
            self._step(next(batches))

    def _step(self, batch: Any) -> None:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape, statistics_weight(self._present(batch)):
            outputs = self.model(self.task.inputs(batch), training=True)
            losses, weights = self.task.losses(batch, outputs)  # (B,), (B,)
            weight = tf.reduce_sum(weights)
            # The sum, not the mean: the ranks' sums add up, and are divided once by all samples' weight.
            objective = tf.reduce_sum(losses * weights) + weight * self._penalty()
        gradients = tape.gradient(objective, variables)
        gradients = reduce_gradients(gradients, weight, self.world)
        self.optimizer.apply(gradients, variables)
        sums = [*self.task.running_sums(batch, outputs, losses), weight]
        self._sums.assign_add(tf.stack([tf.cast(value, tf.float64) for value in sums]))

    def _present(self, batch: Any) -> Any:
        """1.0 for a batch of samples, 0.0 for a stand-in on a rank that has no sample of this step."""
        return tf.cast(tf.reduce_any(batch[WEIGHT] > 0), tf.float32) if WEIGHT in batch else 1.0

    def _penalty(self) -> Any:
        """The model's own losses (weight decay in the loss, say); 0 without any."""
        return tf.add_n(self.model.losses) if self.model.losses else 0.0
