"""What makes ``keras.Model.fit`` one training over several ranks, beside the optimizer."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.distributed.fingerprints import Fingerprints
from tfdl.distributed.optimizer import DistributedOptimizer, is_distributed, undo
from tfdl.distributed.replicated import average_over_ranks, local_statistics, replicated_weights
from tfdl.distributed.state import broadcast_state, fold_rank_into_seeds, seed_generators
from tfdl.distributed.world import World, current_world
from tfdl.errors import RunError, UserError


class _OverRanks(keras.callbacks.Callback):
    """A callback that does nothing on one rank, and wants a reducing optimizer on several.

    ``on_training_numbers`` is called once an epoch, when the model's metrics are those of its training steps: before
    a validation takes them over, or else at the end of the epoch.
    """

    _in_fit = _taken = False

    @property
    def world(self) -> World:
        return current_world()

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = True
        if self.world.size > 1:
            _require_reduction(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._taken = False

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._take()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._take()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self._in_fit = False

    def on_training_numbers(self) -> None:
        """For those who want them."""

    def _take(self) -> None:
        if self._in_fit and not self._taken and self.world.size > 1:
            self._taken = True
            self.on_training_numbers()


class BroadcastState(_OverRanks):
    """Gives every rank rank 0's state before the first step: weights, statistics, optimizer slots, random streams.

    Random streams (dropout) then get the rank folded in, so that ranks draw different numbers. It also sees to what
    ``fit`` needs to be one training: a reducing optimizer, no XLA around the collectives, the same number of steps an
    epoch on every rank, and ranks that end together. Moving statistics that each rank keeps for itself (plain
    ``keras.layers.BatchNormalization``) are averaged at the end of each epoch and before each validation. Put it first.

    Raises:
        UserError: the optimizer does not reduce, or the ranks have different numbers of steps.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        if self.world.size > 1:
            _agree_on_loss_scale(self.model)
        super().on_train_begin(logs)
        if self.world.size == 1:
            return
        _keep_out_of_xla(self.model)
        _check_steps(self.params.get("steps"), self.world)
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        broadcast_state([*self.model.variables, *optimizer.variables], self.world)
        fold_rank_into_seeds(seed_generators(self.model), self.world.rank)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._meet(f"begins epoch {epoch + 1}")

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self._meet("ends")

    def on_training_numbers(self) -> None:
        average_over_ranks(local_statistics(self.model), self.world)

    def _meet(self, doing: str) -> None:
        """A rank that stops alone (``stop_training`` set by one rank's callback) would leave the others waiting."""
        if self.world.size == 1:
            return
        everyone = self.world.all_gather_object(doing)
        if len(set(everyone)) > 1:
            doings = ", ".join(f"rank {rank} {found}" for rank, found in enumerate(everyone))
            raise RunError(
                f"the ranks went different ways: {doings}; callbacks that stop training must decide from the same"
                " numbers on all ranks: put AverageMetrics before them"
            )


class SyncCheck(_OverRanks):
    """Proves at the first step, every ``every`` steps and at the end that all ranks hold the same state, to the bit.

    Compared are trained and frozen weights, the optimizer's slots, and synchronized moving statistics. It also checks
    that the ranks' epochs had equally many samples, which averaged gradients count on.

    Args:
        every: steps between two comparisons.

    Raises:
        RunError: on every rank, naming the step, the rank and the variable.
    """

    def __init__(self, every: int = 200):
        super().__init__()
        if every < 1:
            raise UserError(f"SyncCheck every={every}, expected at least 1 step")
        self.every = every

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._fingerprints: Fingerprints | None = None
        self._step, self._next = 0, 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._in_epoch = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._step += batch + 1 - self._in_epoch
        self._in_epoch = batch + 1
        if self._step >= self._next:
            self._check(f"step {self._step}")
            self._next = (self._step // self.every + 1) * self.every

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self._check(f"the end, step {self._step}")

    def on_training_numbers(self) -> None:
        tracker = getattr(self.model, "_loss_tracker", None)
        if tracker is None:
            return
        counts = np.asarray(self.world.all_gather(tf.reshape(tf.cast(tracker.count, tf.float64), [1])))
        if len(set(counts.tolist())) > 1:
            shown = ", ".join(f"rank {rank} had {count:,.0f}" for rank, count in enumerate(counts))
            raise RunError(
                f"the ranks' batches are not equally large: {shown} samples in an epoch, so the mean over ranks is not"
                " the mean over samples; give every rank the same number of samples"
            )

    def _check(self, where: str) -> None:
        if self.world.size == 1:
            return
        if self._fingerprints is None:
            self._fingerprints = Fingerprints([*replicated_weights(self.model), *self.model.optimizer.variables])
        self._fingerprints.check(self.world, where)


class AverageMetrics(_OverRanks):
    """Replaces each epoch's metrics, of training and validation, by those of all ranks' samples.

    What the metrics have counted is added up over the ranks, so accuracy, precision or AUC are exact for uneven data,
    and the loss is weighted by samples. Put it before callbacks that decide by metrics (``EarlyStopping``,
    ``ReduceLROnPlateau``, ``ModelCheckpoint``): then they decide alike on every rank. A metric of your own must keep
    sums, as Keras's do.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._numbers: dict[str, float] = {}

    def on_training_numbers(self) -> None:
        self._numbers.update(exact_metrics(self.model, self.world))

    def on_test_end(self, logs: Any = None) -> None:
        if self.world.size == 1:
            return
        exact = exact_metrics(self.model, self.world)
        if logs is not None:
            logs.update(exact)
        if self._in_fit:
            self._numbers.update({f"val_{name}": value for name, value in exact.items()})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.world.size > 1 and logs is not None:
            logs.update(self._numbers)


def exact_metrics(model: Any, world: World) -> dict[str, float]:
    """The model's current metrics over the samples of all ranks; the metrics themselves stay as they are."""
    variables = [variable for metric in model.metrics for variable in metric.variables]
    mine = [np.asarray(variable) for variable in variables]
    flat = np.concatenate([value.astype(np.float64).ravel() for value in mine]) if mine else np.zeros(0)
    total = np.asarray(world.all_reduce(tf.constant(flat)))
    for variable, value, part in zip(variables, mine, np.split(total, np.cumsum([v.size for v in mine])), strict=False):
        variable.assign(part.reshape(value.shape).astype(value.dtype))
    found = {name: float(value) for name, value in model.get_metrics_result().items()}
    for variable, value in zip(variables, mine, strict=True):
        variable.assign(value)
    return found


def _require_reduction(model: Any) -> None:
    optimizer = model.optimizer
    if is_distributed(optimizer):
        return
    raise UserError(
        f"{current_world().size} ranks train with a plain {type(optimizer).__name__}, which would leave every rank a"
        " model of its own; compile with optimizer=tfdl.distributed.DistributedOptimizer(...), also after load_model"
    )


def _agree_on_loss_scale(model: Any) -> None:
    """``compile`` puts a loss-scaling optimizer around a float16 model's: it must see the reduced gradients."""
    outer = model.optimizer
    inner = getattr(outer, "inner_optimizer", None)
    if inner is not None and is_distributed(inner) and not is_distributed(outer):
        compression, sparse_as_dense = inner._compression, inner._sparse_as_dense
        undo(inner)
        DistributedOptimizer(outer, compression=compression, sparse_as_dense=sparse_as_dense)


def _keep_out_of_xla(model: Any) -> None:
    """XLA has no kernel for a collective, and on a GPU Keras's "auto" compiles the whole step."""
    if model.jit_compile:
        model.jit_compile = False
        model.make_train_function(force=True)


def _check_steps(steps: int | None, world: World) -> None:
    everyone = world.all_gather_object(steps)
    if len(set(everyone)) > 1:
        shown = ", ".join(f"rank {rank} has {found}" for rank, found in enumerate(everyone))
        raise UserError(
            f"the ranks have different numbers of steps in an epoch ({shown}), so some would wait for the others for"
            " ever; give every rank equally many batches, or fit(steps_per_epoch=...)"
        )
