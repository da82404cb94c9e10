"""The state of a Keras training in a job whose ranks may die and join."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tfdl.distributed.elastic.membership import HostsUpdatedInterrupt, current_membership
from tfdl.distributed.elastic.rank_seeds import RankSeeds
from tfdl.distributed.keras_guards import stepping_optimizers
from tfdl.distributed.optimizer import is_distributed
from tfdl.distributed.replicas import Replicas, forget_traces, keep_out_of_xla
from tfdl.distributed.world import current_world
from tfdl.errors import UserError


@dataclass
class _Copy:
    """A state in this process's memory."""

    number: int = 0
    """Counts the copies of the job. All ranks copy at the same points, so equal numbers are equal states."""
    ranks: int = 1
    """The number of ranks at that time."""
    variables: list[tuple[Any, np.ndarray]] = field(default_factory=list)
    """Variables with their values."""
    seeds: list[np.ndarray] = field(default_factory=list)
    values: bytes = b""
    """The Python values, pickled: a list that is changed later stays here as it was."""


class ProgressCallback(Protocol):
    """A callback that keeps a value of a state: how far the training has come."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """As for Keras. It may be called twice for a batch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """As for Keras. It may be called twice for an epoch."""

    def adapt(self, old_ranks: int, new_ranks: int) -> None:
        """Called after the number of ranks may have changed, on ranks that were there before."""


class KerasState:
    """A Keras model, its optimizers and other values, which a training function changes and the job must not lose.

    ::

        state = distributed.elastic.KerasState(model, epoch=0, batch=0)

    It contains the model's weights, frozen ones too, its statistics (batch normalization), its random streams
    (dropout), all variables of the optimizers (slots, step, learning rate), and the values, which are attributes:
    ``state.epoch``. Metrics are not part of it: an epoch that is continued counts its metrics from there.

    Args:
        model: a built ``keras.Model``, or a list of them.
        optimizer: the optimizer, or a list of them; by default those that the model was compiled with, or has as
            attributes. In an elastic job, each is from ``DistributedOptimizer``. If there are several, they are built.
        **values: picklable values by name.

    Raises:
        UserError: a model or one of several optimizers is not built, there is no optimizer, one does not average, or a
            value has the name of something else.
    """

    batch: int
    """Batches of this epoch that each rank has done, if this is a value; ``UpdateBatchStateCallback`` keeps it."""
    epoch: int
    """Epochs done, if this is a value; ``UpdateEpochStateCallback`` keeps it."""

    def __init__(self, model: Any, optimizer: Any = None, **values: Any):
        self.model = model
        self.optimizer = optimizer
        self._models = list(model) if isinstance(model, (list, tuple)) else [model]
        for name in values:
            if hasattr(self, name):
                raise UserError(f"KerasState got a value named {name!r}, which is an attribute of states; rename it")
        self._names = sorted(values)
        vars(self).update(values)
        self._check_built()
        self._reset_callbacks: list[Callable[[], Any]] = []
        self._seeds = RankSeeds(self._models)
        self.progress: list[ProgressCallback] = []
        """The callbacks of the last ``fit`` that keep values."""
        self._copy = _Copy()

    def register_reset_callbacks(self, callbacks: Sequence[Callable[[], Any]]) -> None:
        """Adds functions that are called after the ranks have changed, before the state is given to all ranks.

        They may adapt the state to the number of ranks (``world.size``), such as the learning rate. Ranks that have
        just joined do not call them, and get the adapted state.

        Args:
            callbacks: functions without arguments.
        """
        self._reset_callbacks.extend(callbacks)

    def commit(self) -> None:
        """Copies the state to memory, and lets the ranks change. All ranks call it at the same point.

        Raises:
            HostsUpdatedInterrupt: as for ``check_host_updates``.
        """
        self.save()
        self.check_host_updates()

    def check_host_updates(self) -> None:
        """Lets the ranks change, if hosts were added or removed. All ranks call it at the same point.

        The state is copied to memory first, so no step is repeated. It costs a small collective.

        Raises:
            HostsUpdatedInterrupt: on all ranks, for ``tfdl.distributed.elastic.run``.
        """
        membership = current_membership()
        if not membership.is_elastic:
            return
        num_changed = current_world().all_reduce(np.int32(membership.hosts_changed))
        if int(num_changed) > 0:
            raise HostsUpdatedInterrupt

    def save(self) -> None:
        """Copies the state to this process's memory. Reads all variables, from a GPU too.

        Raises:
            UserError: a value cannot be pickled.
        """
        self._copy = _Copy(
            number=self._copy.number + 1,
            ranks=current_world().size,
            variables=[(variable, np.array(variable)) for variable in self._variables()],
            seeds=self._seeds.values(),
            values=self._pickled_values(),
        )

    def restore(self) -> None:
        """Returns to the last copy on this rank."""
        for variable, value in self._copy.variables:
            variable.assign(value)
        self._seeds.assign(self._copy.seeds)
        if self._copy.values:
            vars(self).update(pickle.loads(self._copy.values))

    def sync(self) -> None:
        """Gives all ranks one state: that of the rank with the latest copy, or of the lowest among equal ranks.

        Then the state is copied to memory. The rank is folded into the random streams: ranks draw different numbers.
        Variables of ``DistributedOptimizer(local=...)`` stay as they are on each rank. All ranks call it.

        Raises:
            UserError: the ranks' models or optimizers differ, or an optimizer does not average.
        """
        optimizers = self._optimizers()
        self._build(optimizers)
        replicas = Replicas(self._models, *optimizers)
        world = replicas.world
        numbers = world.all_gather_object(self._copy.number)
        root = max(range(world.size), key=lambda rank: (numbers[rank], -rank))
        if current_membership().is_elastic:
            for model in self._models:
                keep_out_of_xla(model)  # also on one rank: others may come
        self._seeds.unfold()
        replicas.broadcast(root=root)
        self._seeds.note_folding(world)
        for callback in self.progress:
            callback.adapt(self._copy.ranks, world.size)
        shared = world.broadcast_object((self._copy.number, self._pickled_values()), root)
        self._copy.number, values = shared
        vars(self).update(pickle.loads(values))
        self.save()

    def on_reset(self) -> None:
        """Called on the ranks that have been there before, after the ranks have changed."""
        for model in self._models:
            forget_traces(model)
        for callback in self._reset_callbacks:
            callback()

    def _variables(self) -> list[Any]:
        """The variables of the state, each once, without random streams."""
        variables = [variable for model in self._models for variable in model.weights]
        variables += [variable for optimizer in self._optimizers() for variable in optimizer.variables]
        return list({id(variable): variable for variable in variables}.values())

    def _optimizers(self) -> list[Any]:
        given = self.optimizer
        if given is None:
            optimizers = [optimizer for model in self._models for optimizer in stepping_optimizers(model)]
        else:
            optimizers = list(given) if isinstance(given, (list, tuple)) else [given]
        if not optimizers:
            raise UserError("KerasState got a model without an optimizer, expected a compiled one, or optimizer=")
        plain = [type(optimizer).__name__ for optimizer in optimizers if not is_distributed(optimizer)]
        if plain and current_membership().is_elastic:
            raise UserError(
                f"KerasState got a plain {', '.join(plain)}, so each rank would train a separate model; pass or compile"
                " with tfdl.distributed.DistributedOptimizer(...), also on one rank: others may come"
            )
        return list({id(optimizer): optimizer for optimizer in optimizers}.values())

    def _build(self, optimizers: Sequence[Any]) -> None:
        """Makes the slots, which a rank that joins must have before it gets their values."""
        unbuilt = [optimizer for optimizer in optimizers if not optimizer.built]
        if not unbuilt:
            return
        if len(optimizers) > 1:
            raise UserError(
                f"KerasState has several optimizers, and {type(unbuilt[0]).__name__} is not built, expected"
                " optimizer.build(variables) with those that it trains"
            )
        (optimizer,) = optimizers
        optimizer.build([variable for model in self._models for variable in model.trainable_variables])

    def _check_built(self) -> None:
        unbuilt = [layer.name for model in self._models for layer in model._flatten_layers() if not layer.built]
        if unbuilt:
            raise UserError(
                f"KerasState got a model whose layer {unbuilt[0]!r} is not built, expected variables: begin the model"
                " with keras.Input, or call model.build(input_shape)"
            )

    def _pickled_values(self) -> bytes:
        values = {name: getattr(self, name) for name in self._names}
        try:
            return pickle.dumps(values)
        except Exception as error:
            raise UserError(f"a value of KerasState cannot be pickled ({error}), expected numbers, lists, dictionaries"
                            f" and the like in {', '.join(self._names)}") from error  # fmt: skip
