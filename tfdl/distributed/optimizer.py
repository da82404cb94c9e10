"""Makes any Keras 3 optimizer data-parallel."""

from typing import Any, Literal

import keras

from tfdl.distributed.buckets import BUCKET_BYTES
from tfdl.distributed.gradient_averaging import average_gradients
from tfdl.distributed.missing_gradients import compare_gradients
from tfdl.distributed.world import World, current_world
from tfdl.errors import UserError

Compression = Literal["none", "float16", "bfloat16"]


def DistributedOptimizer(  # noqa: N802
    optimizer: Any,
    *,
    compression: Compression = "none",
    sparse_as_dense: bool = True,
    bucket_bytes: int = BUCKET_BYTES,
    world: World | None = None,
) -> Any:
    r"""Makes a Keras optimizer average its gradients over all ranks before it clips and applies them.

    With $g_r$ the gradient on rank $r$ of $n$, every rank updates with $\frac1n \sum_r g_r$. That is the gradient of
    the mean loss over all ranks' samples if all ranks' batches are equally large (``SyncCheck`` checks it). Accumulated
    gradients (``gradient_accumulation_steps``) are averaged once for each update. With loss scaling for float16
    (``keras.optimizers.LossScaleOptimizer``), the averaged gradients decide whether a step is skipped, so all ranks
    skip the same steps.

    The optimizer is changed in place: its class becomes a subclass of the original one, and its state and learning rate
    stay. It is saved as the plain optimizer. After ``keras.models.load_model`` wrap it again
    (``model.optimizer = DistributedOptimizer(model.optimizer)``); this package's callbacks refuse to train without. On
    several ranks the first step raises an error until ``BroadcastState`` or ``Replicas.broadcast`` has given all ranks
    the same state.

    Args:
        optimizer: any ``keras.optimizers.Optimizer``.
        compression: ``float16`` or ``bfloat16`` sends float32 gradients in half the bytes. Each rank sends $g_r / n$,
            so that a sum over many ranks does not overflow, rounded to 11 (float16) or 8 (bfloat16) binary digits. The
            sum is rounded again; in float16 over MPI and NCCL it is rounded after each addition. float16 turns values
            above 65504 into infinity, and values below 6e-8 into zero.
        sparse_as_dense: whether gradients of embeddings are averaged as whole tables. ``False`` gathers only the rows
            that occur, which is less data for tables much larger than the batch. The result is the same.
        bucket_bytes: gradients are sent in buckets of about this size in bytes.
        world: the ranks to average over; ``None`` for those of ``current_world()``.

    Returns:
        The same object. On one rank it behaves like the plain optimizer.

    Raises:
        UserError: the argument is no Keras optimizer, the compression is unknown, or ``bucket_bytes`` is below 1.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UserError(
            f"DistributedOptimizer got {type(optimizer).__name__}, expected a Keras 3 optimizer such as"
            " keras.optimizers.Adam(1e-3)"
        )
    if compression not in ("none", "float16", "bfloat16"):
        raise UserError(f"compression={compression!r}, expected one of none, float16, bfloat16")
    if bucket_bytes < 1:
        raise UserError(f"bucket_bytes={bucket_bytes}, expected at least 1")
    for inner in inner_optimizers(optimizer):
        undo(inner)  # otherwise gradients would be averaged twice
    undo(optimizer)
    optimizer.__class__ = _subclass(type(optimizer), _averaging_mixin(type(optimizer)))
    optimizer._reduction = {
        "compression": compression,
        "sparse_as_dense": sparse_as_dense,
        "bucket_bytes": bucket_bytes,
        "world": world,
    }
    return optimizer


def inner_optimizers(optimizer: Any) -> list[Any]:
    """Returns the optimizers, at any depth, that get gradients from a ``LossScaleOptimizer`` or ``MultiOptimizer``."""
    inner = getattr(optimizer, "inner_optimizer", None)
    direct = [inner] if inner is not None else list(getattr(optimizer, "optimizers", []))
    nested = []
    for direct_optimizer in direct:
        nested.append(direct_optimizer)
        nested += inner_optimizers(direct_optimizer)
    return nested


def is_distributed(optimizer: Any) -> bool:
    """Whether the optimizer is from ``DistributedOptimizer``."""
    return isinstance(optimizer, _Averaging)


def world_of(optimizer: Any) -> World:
    """Returns the ranks over which an optimizer averages; for a plain optimizer, the current World."""
    world = optimizer._reduction["world"] if is_distributed(optimizer) else None
    return world or current_world()


def undo(optimizer: Any) -> Any:
    """Restores the optimizer's class from before ``DistributedOptimizer`` or ``forbid``. Returns the same object."""
    optimizer.__class__ = getattr(type(optimizer), "_plain_class", type(optimizer))
    return optimizer


def forbid(optimizer: Any) -> None:
    """Makes a plain optimizer raise an error when it steps, because several ranks train."""
    if not issubclass(type(optimizer), _Forbidden):
        optimizer.__class__ = _subclass(type(optimizer), _Forbidden)


def plain_optimizer_error(optimizer_name: str, size: int) -> UserError:
    """The error for an optimizer that does not average.

    Args:
        optimizer_name: the name of the optimizer's class.
        size: the number of ranks.
    """
    return UserError(
        f"{size} ranks train with a plain {optimizer_name}, so each rank would train a separate model; compile with"
        " optimizer=tfdl.distributed.DistributedOptimizer(...), also after load_model (with world=SingleWorld() if each"
        " rank should train this model separately)"
    )


def outermost(optimizer: Any) -> Any:
    """Moves the averaging from an inner optimizer to the loss-scaling optimizer around it.

    In float16, ``compile`` puts a ``LossScaleOptimizer`` around the model's optimizer. Each rank would then look for
    infinities in its own gradients, and a rank that skips a step alone would leave the others waiting forever.

    Args:
        optimizer: a model's optimizer.

    Returns:
        The same object.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and is_distributed(inner) and not is_distributed(optimizer):
        DistributedOptimizer(optimizer, **inner._reduction)
    return optimizer


def _raise_not_shared(optimizer: Any) -> None:
    raise UserError(
        f"{world_of(optimizer).size} ranks start training without a common state; add"
        " tfdl.distributed.BroadcastState() as the first of fit's callbacks, or call"
        " tfdl.distributed.Replicas(model, optimizer).broadcast() before the first step"
    )


class _Averaging:
    """A mixin before an optimizer's class: averages gradients over the ranks."""

    _plain_class: type
    _reduction: dict[str, Any]
    _share_state: Any = _raise_not_shared
    """Called before the first averaging; ``None`` if all ranks have the same state."""
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
        world = world_of(self)
        is_ready = "_share_state" in vars(self)  # otherwise the first averaging raises an error
        if world.size == 1 or self._has_compared_gradients or not is_ready:
            return
        compare_gradients(gradients, self._trainable_variables if variables is None else variables, world)
        self._has_compared_gradients = True

    def _average(self, gradients: Any) -> list[Any]:
        gradients = list(gradients)
        world = world_of(self)
        if world.size == 1:
            return gradients
        if self._share_state is not None:
            self._share_state()
            self._share_state = None
        return average_gradients(
            gradients,
            world,
            compression=self._reduction["compression"],
            sparse_as_dense=self._reduction["sparse_as_dense"],
            bucket_bytes=self._reduction["bucket_bytes"],
        )


class _AveragesBeforeClipping(_Averaging):
    """For most optimizers.

    Keras clips at the only point where an update's gradients are complete: accumulated, and not yet used.
    """

    def _clip_gradients(self, grads: Any) -> Any:
        return super()._clip_gradients(self._average(grads))  # type: ignore[misc]


class _AveragesFirst(_Averaging):
    """For optimizers that pass gradients on to other optimizers.

    A loss-scaling optimizer looks for infinite gradients before it clips, so it must see the gradients of all ranks. A
    ``MultiOptimizer`` never clips, and all its gradients are averaged together in few collectives.
    """

    def _apply(self, gradients: list[Any], variables: list[Any] | None) -> Any:
        return super()._apply(self._average(gradients), variables)


class _Forbidden:
    """A mixin before an optimizer's class: refuses to step."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:  # noqa: ARG002
        raise plain_optimizer_error(type(self).__name__, current_world().size)


def _averaging_mixin(optimizer_class: type) -> type:
    passes_gradients_on = issubclass(
        optimizer_class, (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
    )
    return _AveragesFirst if passes_gradients_on else _AveragesBeforeClipping


def _subclass(optimizer_class: type, mixin: type) -> type:
    """The optimizer's class with the mixin. It has the same name, so Keras saves and loads it as the plain class."""
    attributes = {
        "__module__": optimizer_class.__module__,
        "__doc__": optimizer_class.__doc__,
        "_plain_class": optimizer_class,
    }
    return type(optimizer_class.__name__, (mixin, optimizer_class), attributes)
