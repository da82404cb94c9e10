"""The classes of optimizers that average their gradients, and what becomes of such an optimizer when it is copied."""

import dataclasses
from typing import Any

import keras

from tfdl.distributed.gradient_averaging import average_gradients
from tfdl.distributed.local_variables import local_gradients, variables_of
from tfdl.distributed.missing_gradients import compare_gradients
from tfdl.distributed.training_world import training_world
from tfdl.distributed.world import SingleWorld, World
from tfdl.errors import UserError

# Sets the class of an object that has a property of this name.
_class_of_object = object.__dict__["__class__"]


@dataclasses.dataclass(frozen=True)
class Reduction:
    """How an optimizer averages: the options of ``DistributedOptimizer``."""

    compression: str
    sparse_as_dense: bool
    bucket_bytes: int
    world: World | None
    local: tuple[Any, ...] = ()
    scale_local: bool = True

    def __deepcopy__(self, memo: dict[int, Any]) -> "Reduction":
        return self  # over the same ranks

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.world, SingleWorld | None):
            raise UserError(
                "an optimizer from DistributedOptimizer(..., world=...) cannot be pickled, because its ranks belong to"
                " this job; pickle it without world=, or pickle optimizer.get_config()"
            )
        if self.local:
            raise UserError(
                "an optimizer from DistributedOptimizer(..., local=...) cannot be pickled, because its layers belong to"
                " a model; pickle it without local=, or pickle optimizer.get_config()"
            )
        return Reduction, (self.compression, self.sparse_as_dense, self.bucket_bytes, self.world)


class Wrapped:
    """A mixin before an optimizer's class. Keras asks an optimizer for its ``__class__``, and gets the plain class.

    So the optimizer is saved as the plain one, under the name with which its class is registered.
    """

    _plain_class: type

    def _get_plain_class(self) -> type:
        return self._plain_class

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: Any = super().__reduce__()
        rebuild, *arguments = reduced
        if getattr(rebuild, "__self__", None) is type(self):
            # Keras's function is a method of the class, and a pickle finds only the plain class by its name.
            rebuild = getattr(self._plain_class, rebuild.__name__)
        return rebuild, *arguments

    __class__ = property(_get_plain_class)


class Averaging(Wrapped):
    """A mixin before an optimizer's class: averages gradients over the ranks.

    The options belong to the class. So whatever makes an optimizer of this class makes one that averages, also
    ``type(optimizer).from_config(config)``.
    """

    _reduction: Reduction
    _var_key: Any
    """Keras's key of a variable."""
    _has_compared_gradients = False
    _trainable_variables: list[Any]

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        gradients = list(grads)
        variables = None if trainable_variables is None else list(trainable_variables)
        self._compare_first(gradients, variables)
        return self._apply(gradients, variables)

    def _apply(self, gradients: list[Any], variables: list[Any] | None) -> Any:
        return super().apply(gradients, variables)  # type: ignore[misc]

    def _compare_first(self, gradients: list[Any], variables: list[Any] | None) -> None:
        """Before the first step: Keras drops gradients that are ``None`` before it clips.

        Only once. A rank may trace its step again alone, for a batch of another shape.
        """
        world = self._world()
        is_ready = "_share_state" in vars(self)  # otherwise the first averaging raises an error
        if world.size == 1 or self._has_compared_gradients or not is_ready:
            return
        trained = self._trainable_variables if variables is None else variables
        is_local = self._are_local(trained)
        shared = [pair for pair, local in zip(zip(gradients, trained, strict=True), is_local, strict=True) if not local]
        compare_gradients([gradient for gradient, _ in shared], [variable for _, variable in shared], world)
        self._has_compared_gradients = True

    def _share_state(self) -> None:
        """Called before the first averaging. ``None`` in its place means that all ranks have the same state."""
        raise UserError(
            f"{self._world().size} ranks start training without a common state; add"
            " tfdl.distributed.BroadcastState() as the first of fit's callbacks, or call"
            " tfdl.distributed.Replicas(model, optimizer).broadcast() before the first step"
        )

    def _world(self) -> World:
        return self._reduction.world or training_world()

    def _average(self, gradients: Any, variables: Any) -> list[Any]:
        gradients = list(gradients)
        world = self._world()
        world.refuse_old_graphs()
        if world.size == 1:
            return gradients
        if self._share_state is not None:
            self._share_state()
            self._share_state = None  # type: ignore[method-assign, assignment]
        reduction = self._reduction
        is_local = self._are_local(variables)
        shared = average_gradients(
            [gradient for gradient, local in zip(gradients, is_local, strict=True) if not local],
            world,
            compression=reduction.compression,
            sparse_as_dense=reduction.sparse_as_dense,
            bucket_bytes=reduction.bucket_bytes,
        )
        if not any(is_local):
            return shared
        own = local_gradients(
            [gradient for gradient, local in zip(gradients, is_local, strict=True) if local],
            world,
            scale=reduction.scale_local,
            agree_on_infinity=issubclass(type(self), keras.optimizers.LossScaleOptimizer),
        )
        return [own.pop(0) if local else shared.pop(0) for local in is_local]

    def _are_local(self, variables: Any) -> list[bool]:
        """Whether each variable is left to this rank."""
        local_keys = {self._var_key(variable) for variable in variables_of(self._reduction.local)}
        return [self._var_key(variable) in local_keys for variable in variables]

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, arguments, *state = super().__reduce__()
        return _rebuild_averaging, (self._reduction, rebuild, arguments), *state


class _AveragesBeforeClipping(Averaging):
    """For most optimizers.

    Keras clips at the only point where an update's gradients are complete: accumulated, and not yet used.
    """

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> Any:
        vars(self)["_variables_of_step"] = trainable_variables  # not tracked by Keras
        return super()._backend_apply_gradients(grads, trainable_variables)  # type: ignore[misc]

    def _clip_gradients(self, grads: Any) -> Any:
        averaged = self._average(grads, vars(self)["_variables_of_step"])
        return super()._clip_gradients(averaged)  # type: ignore[misc]


class _AveragesFirst(Averaging):
    """For optimizers that pass gradients on to other optimizers.

    A loss-scaling optimizer looks for infinite gradients before it clips, so it must see the gradients of all ranks. A
    ``MultiOptimizer`` never clips, and all its gradients are averaged together in few collectives.
    """

    def _apply(self, gradients: list[Any], variables: list[Any] | None) -> Any:
        averaged = self._average(gradients, self._trainable_variables if variables is None else variables)
        return super()._apply(averaged, variables)


def make_averaging(optimizer: Any, reduction: Reduction) -> Any:
    """Changes the class of a plain optimizer to one that averages.

    Args:
        optimizer: the optimizer.
        reduction: how to average.

    Returns:
        The same object.
    """
    plain_class = type(optimizer)
    passes_gradients_on = issubclass(
        plain_class, (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
    )
    mixin = _AveragesFirst if passes_gradients_on else _AveragesBeforeClipping
    return set_class(optimizer, subclass(plain_class, mixin, _reduction=reduction))


def make_plain(optimizer: Any) -> Any:
    """Restores the class that an optimizer had before it was changed. Returns the same object."""
    return set_class(optimizer, getattr(type(optimizer), "_plain_class", type(optimizer)))


def set_class(optimizer: Any, optimizer_class: type) -> Any:
    """Changes the class of an optimizer.

    Args:
        optimizer: the optimizer.
        optimizer_class: its plain class, or a subclass of it from ``subclass``.

    Returns:
        The same object.
    """
    _class_of_object.__set__(optimizer, optimizer_class)
    return optimizer


def subclass(plain_class: type, mixin: type, **attributes: Any) -> type:
    """Returns a subclass with the same name, module and docstring.

    Args:
        plain_class: an optimizer's class.
        mixin: the class before it, a subclass of ``Wrapped``.
        **attributes: of the new class.
    """
    attributes["__module__"] = plain_class.__module__
    attributes["__qualname__"] = plain_class.__qualname__
    attributes["__doc__"] = plain_class.__doc__
    attributes["_plain_class"] = plain_class
    return type(plain_class.__name__, (mixin, plain_class), attributes)


def _rebuild_averaging(reduction: Reduction, rebuild: Any, arguments: tuple[Any, ...]) -> Any:
    """Makes an optimizer that averages from the parts of a pickled or copied one.

    Args:
        reduction: how to average.
        rebuild: the function that makes the plain optimizer.
        arguments: of the function.
    """
    return make_averaging(rebuild(*arguments), reduction)
