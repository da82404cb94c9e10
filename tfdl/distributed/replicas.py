"""A model and its optimizers as one and the same on all ranks: for loops of one's own, and for the callbacks."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.distributed.accumulated_gradients import accumulators, are_at_one_step, shared_slots
from tfdl.distributed.eager_variables import initialize_variables_eagerly
from tfdl.distributed.equal_models import check_equal_models, check_steps, describe_variables
from tfdl.distributed.layer_constants import check_equal_constants, constants_of, refresh_adapted
from tfdl.distributed.loss_denominators import share_denominators
from tfdl.distributed.missing_gradients import compare_together
from tfdl.distributed.optimizer import (
    inner_optimizers,
    is_distributed,
    local_variables,
    outermost,
    plain_optimizer_error,
    world_of,
)
from tfdl.distributed.replicated import replicated_weights
from tfdl.distributed.state import broadcast_state, fold_rank_into_seeds, seed_generators
from tfdl.distributed.sync_proof import SyncProof
from tfdl.distributed.training_world import training_world
from tfdl.distributed.world import World
from tfdl.errors import RunError, UserError, mark_agreed


class Replicas:
    """The copies of a model that the ranks train in a loop of their own, kept equal and proved to be.

    ::

        replicas = distributed.Replicas(model, optimizer)
        replicas.broadcast()                      # before the first step
        for step, batch in enumerate(batches, 1):
            train_step(batch)                     # a tf.function that ends in optimizer.apply(...)
            replicas.check(step)                  # compares at the first step and every 200
        replicas.finish()                         # meets the other ranks, and compares once more

    On one rank all of it does nothing.

    Args:
        model: a ``keras.Model``, or a list of them.
        *optimizers: all that train it, each from ``DistributedOptimizer``.
        check_every: steps between two comparisons.

    Raises:
        UserError: an optimizer that does not average, or optimizers that average over different ranks.
    """

    def __init__(self, model: Any, *optimizers: Any, check_every: int = 200):
        if check_every < 1:
            raise UserError(f"check_every={check_every}, expected at least 1 step")
        self.models = list(model) if isinstance(model, (list, tuple)) else [model]
        self.optimizers = [outermost(optimizer) for optimizer in optimizers]
        self.world = _common_world(self.optimizers)
        self.check_every = check_every
        self._next = 0
        self._proof = SyncProof(self._equal_variables, self.world, check_every)

    def broadcast(self, *, steps: int | None = None, root: int = 0) -> None:
        """Gives every rank rank 0's weights, statistics, optimizer slots and random streams, before the first step.

        Random streams (dropout) then get the rank folded in, so that ranks draw different numbers. Layers that are not
        built yet get theirs when the first step is traced. A model that Keras would compile with XLA is kept from it.

        Args:
            steps: how many steps this rank is going to do, an epoch or in all, where it knows: they are compared.
            root: the rank whose state all get, in place of rank 0. Its random streams must not have the rank folded in.

        Raises:
            UserError: the ranks' models or numbers of steps differ.
        """
        if self.world.size == 1:
            return
        initialize_variables_eagerly()  # for layers that the first step will build
        have_compared = [optimizer._has_compared_gradients for optimizer in self.optimizers]
        of_ranks = self.world.all_gather_object((steps, have_compared))
        check_steps([number for number, _ in of_ranks])
        compare_together(self.optimizers, [compared for _, compared in of_ranks])
        for model in self.models:
            keep_out_of_xla(model)
            share_denominators(model, functools.partial(_training_world, model, self.world))
        built = all(layer.built for model in self.models for layer in model._flatten_layers())
        if built and len(self.optimizers) == 1 and not self.optimizers[0].built:
            self.optimizers[0].build([variable for model in self.models for variable in model.trainable_variables])
        slots = [variable for optimizer in self.optimizers for variable in shared_slots(optimizer)]
        accumulated = [variable for optimizer in self.optimizers for variable in accumulators(optimizer)]
        keep_accumulated = are_at_one_step(self.optimizers, self.world)  # before they get one step counter
        self._share(slots, accumulated, root)
        if not keep_accumulated:
            broadcast_state(accumulated, self.world, root)
        for optimizer in self.optimizers:
            optimizer._share_state = None if built else self._share_what_is_new

    def check(self, step: int) -> None:
        """Compares the ranks' weights and optimizer slots to the bit, if ``step`` has come to the next comparison.

        Args:
            step: how many steps have been done, the same number on every rank.

        Raises:
            RunError: on every rank; names the step, the first rank that differs from rank 0, and the variables.
        """
        if step >= self._next:
            self._next = (step // self.check_every + 1) * self.check_every
            self._compare(f"step {step}")

    def finish(self, step: int | None = None) -> None:
        """Waits for all ranks at the end of training, and compares them.

        Raises:
            RunError: another rank goes on training, or a rank differs.
        """
        self._compare("the end" if step is None else f"the end, step {step}")

    def _share(self, slots: Sequence[Any] = (), accumulated: Sequence[Any] = (), root: int = 0) -> None:
        """Gives all ranks one rank's variables of the models, and its slots. What they accumulated is only compared."""
        variables = [variable for model in self.models for variable in model.variables]
        self._num_shared = len(variables)
        variables = self.without_local([*variables, *slots])
        _refuse_overwritten(variables)
        check_equal_models(
            self.world.all_gather_object(describe_variables([*variables, *self.without_local(accumulated)]))
        )
        broadcast_state(variables, self.world, root)
        layers = [layer for model in self.models for layer in model._flatten_layers()]
        if refresh_adapted(layers):
            for model in self.models:
                forget_traces(model)
        check_equal_constants(self.world.all_gather_object(constants_of(layers)))
        fold_rank_into_seeds([seed for model in self.models for seed in seed_generators(model)], self.world.rank)

    def _share_what_is_new(self) -> None:
        """Called where the first step's gradients are there, so that all of its layers are built.

        In a ``tf.function`` that is while it is traced, and before anything is computed.
        """
        if sum(len(model.variables) for model in self.models) == self._num_shared:
            return
        if tf.executing_eagerly():
            names = ", ".join(model.name for model in self.models)
            raise UserError(
                f"the first step has built layers of {names}, after it had begun; outside of a tf.function call the"
                " model on a batch, or model.build(input_shape), before the ranks get one state"
            )
        with tf.init_scope():
            self._share()  # slots made just now are the same zeros everywhere

    def _compare(self, where: str) -> None:
        """Waits for all ranks, and compares them.

        Args:
            where: when this is, for messages: ``"step 200"``.
        """
        if self.world.size == 1:
            return
        self.world.meet(f"has come to {where}")
        difference = self._proof.difference()
        if difference is not None:
            error = RunError(f"at {where}, {difference}: the ranks no longer train one model; do not use the result")
            mark_agreed(error)
            raise error

    def _equal_variables(self) -> list[Any]:
        """Everything that must be equal on all ranks; optimizers make their slots when they are first needed."""
        weights = [variable for model in self.models for variable in replicated_weights(model)]
        slots = [variable for optimizer in self.optimizers for variable in shared_slots(optimizer)]
        return self.without_local([*weights, *slots])

    def without_local(self, variables: Sequence[Any]) -> list[Any]:
        """Returns the variables that are not left to each rank by ``DistributedOptimizer(local=...)``."""
        local_ids = {id(variable) for variable in local_variables(self.optimizers)}
        return [variable for variable in variables if id(variable) not in local_ids]


def optimizers_of(model: Any) -> dict[str, Any]:
    """A model's optimizers by the names of its attributes; a GAN's ``train_step`` has several."""
    held = [(name, part) for name, value in vars(model).items() for part in _parts(value)]
    found = {id(part): (name, part) for name, part in held if isinstance(part, keras.optimizers.Optimizer)}
    inner = {id(getattr(optimizer, "inner_optimizer", None)) for _, optimizer in found.values()}
    named: dict[str, Any] = {}
    for key, (name, optimizer) in found.items():
        if key not in inner:
            named[name if name not in named else f"{name} {len(named)}"] = optimizer
    return named


def keep_out_of_xla(model: Any) -> None:
    """XLA has no kernel for a collective, and on a GPU Keras's "auto" compiles the whole step."""
    if getattr(model, "compiled", False) and model.jit_compile:
        model.jit_compile = False
        model.make_train_function(force=True)


def _training_world(model: Any, otherwise: World) -> World:
    """The ranks over which the model's own optimizers average now."""
    worlds = [world_of(optimizer) for optimizer in optimizers_of(model).values() if is_distributed(optimizer)]
    return worlds[0] if worlds else otherwise


def forget_traces(model: Any) -> None:
    """Makes a model trace its graphs again. Those that it has contain old constants of layers, or old ranks.

    Args:
        model: a Keras model.
    """
    for function in ("train", "test", "predict"):
        if getattr(model, f"{function}_function", None) is not None:
            getattr(model, f"make_{function}_function")(force=True)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _common_world(optimizers: list[Any]) -> World:
    plain = [optimizer for optimizer in optimizers if not is_distributed(optimizer)]
    worlds = [world_of(optimizer) for optimizer in optimizers] or [training_world()]
    if plain and worlds[0].size > 1:
        raise plain_optimizer_error(plain, worlds[0].size)
    if any(world is not worlds[0] for world in worlds):
        raise UserError("the optimizers of one model average over different ranks, expected one world= for all of them")
    return worlds[0]


def _refuse_overwritten(variables: list[Any]) -> None:
    """Scales of 8-bit floats are not trained but replaced, by what each rank has seen."""
    found = [variable.path for variable in variables if getattr(variable, "overwrite_with_gradient", False)]
    if found:
        raise UserError(f"{found[0]} is replaced by its gradient (float8), which ranks cannot share; train in bfloat16")


def learning_rates(optimizers: list[Any]) -> list[float]:
    """The current rates, as numbers; several of an optimizer that gives each variable one of its own."""
    return [float(np.asarray(part.learning_rate)) for part in stepping_parts(optimizers)]


def stepping_parts(optimizers: list[Any]) -> list[Any]:
    """The optimizers that make the updates: those inside of optimizers that pass gradients on, or the optimizers."""
    parts = [part for optimizer in optimizers for part in (inner_optimizers(optimizer) or [optimizer])]
    return [part for part in parts if not inner_optimizers(part)]
