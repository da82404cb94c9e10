"""One optimizer step: forward, backward, one reduction over the ranks, update."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT
from tfdl.data.python_reading import own_errors
from tfdl.distributed import LossScale, NoLossScale, World, reduce_gradients
from tfdl.distributed.state import seed_generators
from tfdl.distributed.world import statistics_weight
from tfdl.tasks.task import Task
from tfdl.training.carried_state import CarriedState, NoCarriedState
from tfdl.training.layer_outputs import LayerOutputs, layer_outputs
from tfdl.training.micro_batches import cut

Result = tuple[list[Any], Any, list[Any]]
"""Gradients of the sum of a batch's losses; its running sums, with the sum of weights last; the carried state after it.

A gradient is None where the loss does not depend on the variable.
"""


@dataclass(frozen=True)
class Forward:
    """A forward pass of a batch in training."""

    outputs: Any
    """Of the model."""
    states: list[Any]
    """The carried state after the batch."""
    losses: Any
    """Of each sample, ``(b,)``."""
    weight: Any
    """Scalar, the sum of the samples' weights."""
    objective: Any
    """Scalar, what is differentiated: the sum of the losses times the weights, and the model's own losses."""
    layers_marker: Any
    """Scalar: NaN if ``Trainer.checks_layers`` and a layer's output is not finite, else 0."""


class Trainer:
    """Trains a Keras model on batches of a task.

    The model and optimizer are plain Keras objects and know nothing of ranks: the gradients are reduced here, before
    the optimizer clips and applies them.

    Args:
        model: maps the task's inputs to the outputs that the task expects.
        optimizer: any Keras optimizer.
        task: defines inputs, losses and running sums of a batch.
        world: the ranks that train together.
        accumulation_steps: the number of pieces of a batch. They are computed one after the other, before one reduction
            and one update. Batch statistics are those of each piece; all else is the same as for the whole batch.
        compression: ``float16`` or ``bfloat16`` sends float32 gradients in half the bytes, rounded.
        loss_scale: what happens at gradients that are NaN or infinite. By default training ends before that step. For
            float16 it is skipped: it changes neither weights nor batch statistics nor the optimizer on any rank. Its
            loss counts in the metrics unless it is itself NaN or infinite.
        carried: the state that a recurrent language model carries from step to step.

    Attributes:
        xla: whether XLA compiles the forward and backward pass of a batch (or of a piece), once for each shape. Set it
            before the first step. The reduction and the update are never compiled.
        logs_norms: whether ``norms`` has values. Set it before the first step.
        checks_layers: whether a layer whose output is NaN or infinite also ends the training before the step, though
            the loss and the gradients may be finite. Set it before the first step.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        task: Task,
        world: World,
        *,
        accumulation_steps: int = 1,
        compression: str = "none",
        loss_scale: LossScale | None = None,
        carried: CarriedState | None = None,
    ):
        self.model = model
        self.optimizer = optimizer
        self.task = task
        self.world = world
        self.accumulation_steps = accumulation_steps
        self.loss_scale = loss_scale or NoLossScale()
        self.carried = carried or NoCarriedState(model)
        self.xla = False
        self.checks_layers = False
        self.logs_norms = False
        self._gradient_norm = tf.Variable(0.0, trainable=False)
        self._wire_dtype = None if compression == "none" else compression
        optimizer.build(model.trainable_variables)
        # Sums of the running metrics and of the weights since the last take_sums.
        self._sums = tf.Variable(tf.zeros([len(task.running_metrics) + 1], tf.float64), trainable=False)
        # AutoGraph would rewrite the source of every function of a step, which takes half of a run's start. Loops that
        # depend on tensors are tf.while_loop instead, here and in the layers and tasks.
        self._run_steps = tf.function(self._steps, autograph=False, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """All variables that must be equal on all ranks before the first step."""
        return [*self.model.variables, *self.update_variables]

    @property
    def update_variables(self) -> list[Any]:
        """The variables of the optimizer and of the loss scale."""
        return [*self.optimizer.variables, *self.loss_scale.variables]

    @property
    def restored_variables(self) -> list[Any]:
        """What a step that is not applied leaves as it was, besides the weights and the optimizer.

        A step that is skipped has used its random numbers.
        """
        statistics = list(self.model.non_trainable_weights)
        if self.loss_scale.skips_steps:
            return statistics
        return [*statistics, *(generator.state for generator in seed_generators(self.model))]

    def run(self, batches: Any, num_steps: int) -> int:
        """Makes ``num_steps`` steps, one for each batch, in one graph call.

        Args:
            batches: an iterator over training batches.
            num_steps: the number of steps.

        Returns:
            The number of steps done, the same on all ranks. It is smaller if the step after them has a loss or
            gradient that is NaN or infinite. Nothing of that step remains, but its batch has been taken.
        """
        with own_errors():
            return int(self._run_steps(batches, tf.constant(num_steps)))

    def gradients(self, batch: Any, xla: bool) -> Result:
        """Computes a step without its update: the gradient of the mean loss over all ranks' samples.

        Without XLA, a buffer of gradients is sent as soon as it is full, while the backward pass continues. A graph
        that XLA has compiled returns all gradients at once.

        Args:
            batch: with the carried state (``carried.joined``).
            xla: whether XLA compiles the forward and backward pass.

        Returns:
            Reduced gradients, this rank's sums, and the carried state after the batch.
        """
        forward_backward: Callable[[Any], Result] = self._forward_backward
        if xla:
            forward_backward = tf.function(
                self._forward_backward, jit_compile=True, autograph=False, reduce_retracing=True
            )
        if self.accumulation_steps == 1:
            gradients, sums, states = forward_backward(batch)
        else:
            gradients, sums, states = self._accumulated(batch, forward_backward)
        reduced = reduce_gradients(gradients, sums[-1], self.world, wire_dtype=self._wire_dtype)
        return reduced, sums, states

    def forward(self, batch: Any) -> Forward:
        """The forward pass of a batch in training, and what is differentiated.

        Args:
            batch: with the carried state (``carried.joined``).
        """
        watched = layer_outputs(self.model) if self.checks_layers else nullcontext(LayerOutputs())
        with statistics_weight(_has_samples(batch)), watched as returned:
            outputs, states = self.carried.outputs(batch, self.task.inputs(batch))
        losses, weights = self.task.losses(batch, outputs)  # (b,), (b,)
        weight = tf.reduce_sum(weights)
        objective = tf.reduce_sum(losses * weights) + weight * self._penalty(weight.dtype)
        marker = 0.0
        if returned.tensors:
            marker = tf.where(tf.reduce_all(returned.are_finite()), tf.zeros_like(objective), math.nan)
        return Forward(outputs, states, losses, weight, objective, marker)

    def take_sums(self, *extra: float) -> np.ndarray:
        """Returns, over all ranks, the running sums and the weight since the last call, then the sums of ``extra``."""
        own = tf.concat([self._sums.value(), tf.constant(list(extra), tf.float64)], 0)
        self._sums.assign(tf.zeros_like(self._sums))
        return np.asarray(self.world.all_reduce(own))

    def norms(self) -> dict[str, float]:
        """The 2-norms of all gradients of the last step, reduced and not yet clipped, and of all trained weights.

        Empty unless ``logs_norms``. In float16 a skipped step has none, so the norm is that of the step before.
        """
        if not self.logs_norms:
            return {}
        weights = [variable.value for variable in self.model.trainable_variables]
        return {"gradient_norm": float(self._gradient_norm), "weight_norm": float(_norm(weights))}

    def _steps(self, batches: Any, num_steps: Any) -> Any:
        def take_step(step: Any, _: Any) -> list[Any]:
            is_done = self._step(next(batches))
            return [step + tf.cast(is_done, tf.int32), is_done]

        steps, _ = tf.while_loop(
            lambda step, is_done: tf.logical_and(is_done, step < num_steps),
            take_step,
            [tf.constant(0), tf.constant(True)],
        )
        return steps

    def _step(self, batch: Any) -> Any:
        """Makes one step; returns whether it is done. One that float16's loss scale skips is done too."""
        statistics = self.loss_scale.snapshot(self.restored_variables)
        batch = self.carried.joined(batch)
        gradients, sums, states = self.gradients(batch, self.xla)
        applied = self._update(gradients, statistics)
        self._sums.assign_add(self.loss_scale.counted(sums, applied))
        is_done = tf.constant(True) if self.loss_scale.skips_steps else applied
        self.carried.keep(batch, states, is_done)
        return is_done

    def _forward_backward(self, batch: Any) -> Result:
        """Differentiates the *sum* of the losses, not the mean.

        The sums of pieces and ranks are added up, and divided once by the weight of all samples.
        """
        with tf.GradientTape() as tape:
            forward = self.forward(batch)
            # Keras divides the gradients by ``loss_scale_factor`` when it applies them.
            objective = self.optimizer.scale_loss(self.loss_scale.scaled(forward.objective))
        variables = self.model.trainable_variables
        gradients = tape.gradient(objective, variables)
        gradients = [_with_shape(gradient, variable) for gradient, variable in zip(gradients, variables, strict=True)]
        weight = self.loss_scale.marked(forward.weight, forward.objective + forward.layers_marker)
        sums = [*self.task.running_sums(batch, forward.outputs, forward.losses), weight]
        return gradients, tf.stack([tf.cast(value, tf.float64) for value in sums]), forward.states

    def _accumulated(self, batch: Any, forward_backward: Callable[[Any], Result]) -> Result:
        """Computes the result of ``_forward_backward`` piece by piece."""
        batch, bounds = cut(batch, self.accumulation_steps)
        variables = self.model.trainable_variables
        totals = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        sums = tf.zeros_like(self._sums)
        states = [batch[name] for name in self.carried.names]
        without_gradient: set[int] = set()  # filled while the loop is traced

        def add_piece(piece: Any, totals: list[Any], sums: Any, states: list[Any]) -> tuple[Any, ...]:
            first_row = bounds[piece]
            end_row = bounds[piece + 1]
            rows = {name: value[first_row:end_row] for name, value in batch.items()}
            gradients, piece_sums, piece_states = forward_backward(rows)
            without_gradient.update(index for index, gradient in enumerate(gradients) if gradient is None)
            row_numbers = tf.range(first_row, end_row)[:, tf.newaxis]
            states = [
                tf.tensor_scatter_nd_update(state, row_numbers, piece_state)
                for state, piece_state in zip(states, piece_states, strict=True)
            ]
            return piece + 1, _added(totals, gradients), sums + piece_sums, states

        _, totals, sums, states = tf.while_loop(
            lambda piece, *_: piece < self.accumulation_steps,
            add_piece,
            (tf.constant(0), totals, sums, states),
            # One piece after the other: collectives of synchronized statistics of two pieces would mix.
            parallel_iterations=1,
        )
        gradients = [None if index in without_gradient else total for index, total in enumerate(totals)]
        return gradients, sums, states

    def _update(self, gradients: Sequence[Any], statistics: Sequence[Any]) -> Any:
        """Applies the step, or skips it and restores the statistics; returns whether it was applied."""
        variables = self.model.trainable_variables

        def apply(unscaled: Sequence[Any]) -> None:
            if self.logs_norms:
                # Keras divides by the factor later.
                self._gradient_norm.assign(_norm(unscaled) / (self.optimizer.loss_scale_factor or 1.0))
            self.optimizer.apply(unscaled, variables)

        def restore() -> None:
            for variable, value in zip(self.restored_variables, statistics, strict=True):
                variable.assign(value)

        return self.loss_scale.update(gradients, apply, restore)

    def _penalty(self, dtype: Any) -> Any:
        """The sum of the model's own losses (an L2 penalty, for example); 0 without any."""
        # In mixed precision, a layer's activities and its weights have different dtypes.
        losses = [tf.cast(loss, dtype) for loss in self.model.losses]
        return tf.add_n(losses) if losses else 0.0


def _norm(tensors: Sequence[Any]) -> Any:
    """The square root of the sum of all squares, in float32."""
    squares = [tf.cast(tf.nn.l2_loss(tensor), tf.float32) for tensor in tensors if tensor is not None]
    return tf.sqrt(2.0 * tf.add_n(squares))


def _has_samples(batch: Any) -> Any:
    """1.0 for a batch with samples; 0.0 for a batch of stand-ins, on a rank without a sample in this step."""
    if WEIGHT not in batch:
        return 1.0
    return tf.cast(tf.reduce_any(batch[WEIGHT] > 0), tf.float32)


def _with_shape(gradient: Any, variable: Any) -> Any:
    """Gives a gradient the static shape of its variable.

    The graph may not know it, for example for a dense layer on sequences of any length. The reduction needs the shape
    to put gradients into buffers.
    """
    if isinstance(gradient, tf.Tensor):
        gradient.set_shape(variable.shape)
    return gradient


def _added(totals: list[Any], gradients: Sequence[Any]) -> list[Any]:
    # A gradient may be sparse (IndexedSlices); the totals are dense.
    return [
        total if gradient is None else total + tf.convert_to_tensor(gradient)
        for total, gradient in zip(totals, gradients, strict=True)
    ]
