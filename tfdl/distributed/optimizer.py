"""Any Keras 3 optimizer, made data-parallel."""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfdl.distributed.buckets import BUCKET_BYTES, sum_over_ranks
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

    With $g_r$ the gradient on rank $r$ of $n$, every rank updates with $\frac1n \sum_r g_r$: the gradient of the mean
    loss over all ranks' samples, as long as their batches are equally large (``SyncCheck`` looks at that). Gradients
    that are accumulated (``gradient_accumulation_steps``) are averaged once for each update. Where gradients are scaled
    for float16 (``keras.optimizers.LossScaleOptimizer``), the averaged ones decide whether a step is skipped, so all
    ranks skip the same steps.

    It is the optimizer itself that comes back, with its state, learning rate and everything else; its class has become
    a subclass of what it was. It is saved as the plain optimizer: after ``keras.models.load_model`` wrap it again
    (``model.optimizer = DistributedOptimizer(model.optimizer)``; this package's callbacks refuse to train without).
    On several ranks its first step is an error until ``BroadcastState`` or ``Replicas.broadcast`` has given all ranks
    one state.

    Args:
        optimizer: any ``keras.optimizers.Optimizer``.
        compression: ``float16`` or ``bfloat16`` halves what float32 gradients send. Each rank sends $g_r / n$, so that
            a sum over many ranks does not overflow; it is rounded to 11 (float16) or 8 (bfloat16) binary digits. The
            sum is rounded again, in float16 over MPI and NCCL after each addition. float16 turns what is larger than
            65504 into infinity, and what is smaller than 6e-8 into zero.
        sparse_as_dense: gradients of embeddings are added up as whole tables; ``False`` gathers only the rows that
            occur, which is less for tables much larger than the batch. The result is the same.
        bucket_bytes: gradients travel in buffers of about this size.
        world: the ranks to average over; those of ``current_world()`` when it is not given.

    Returns:
        The same object. On one rank it does what it did before.

    Raises:
        UserError: no Keras optimizer, an unknown compression, or a size of buffers below 1.
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
        undo(inner)  # averaged twice would be sent twice
    undo(optimizer).__class__ = _subclass(type(undo(optimizer)))
    optimizer._reduction = {"compression": compression, "sparse_as_dense": sparse_as_dense}
    optimizer._reduction |= {"bucket_bytes": bucket_bytes, "world": world}
    return optimizer


def inner_optimizers(optimizer: Any) -> list[Any]:
    """Those that a loss-scaling optimizer, or one that gives each variable its own, hands gradients on to."""
    inner = getattr(optimizer, "inner_optimizer", None)
    found = [inner] if inner is not None else list(getattr(optimizer, "optimizers", []))
    return [part for each in found for part in (each, *inner_optimizers(each))]


def is_distributed(optimizer: Any) -> bool:
    """Whether ``DistributedOptimizer`` has been here."""
    return isinstance(optimizer, _Reducing)


def world_of(optimizer: Any) -> World:
    """The ranks that an optimizer averages over; for a plain one those that it would."""
    own = optimizer._reduction["world"] if is_distributed(optimizer) else None
    return own or current_world()


def undo(optimizer: Any) -> Any:
    """The optimizer as it was before ``DistributedOptimizer`` or ``forbid``; the same object."""
    optimizer.__class__ = getattr(type(optimizer), "_plain_class", type(optimizer))
    return optimizer


def forbid(optimizer: Any) -> None:
    """Makes an optimizer refuse to step: it does not average, and several ranks train."""
    if not issubclass(type(optimizer), _Forbidden):
        optimizer.__class__ = _subclass(type(optimizer), _Forbidden)


def plain_optimizer_error(found: str, size: int) -> UserError:
    """What is wrong with an optimizer that does not average."""
    return UserError(
        f"{size} ranks train with a plain {found}, which would leave every rank a model of its own; compile with"
        " optimizer=tfdl.distributed.DistributedOptimizer(...), also after load_model (with world=SingleWorld() there,"
        " if each rank shall train this model for itself)"
    )


def outermost(optimizer: Any) -> Any:
    """Moves the averaging out of a loss-scaling optimizer that was put around it, as ``compile`` does in float16.

    There each rank would look for infinities in its own gradients, and one that skips a step alone leaves the others
    waiting for ever.
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and is_distributed(inner) and not is_distributed(optimizer):
        DistributedOptimizer(optimizer, **inner._reduction)
    return optimizer


def _not_yet(optimizer: Any) -> None:
    raise UserError(
        f"{world_of(optimizer).size} ranks begin to train without one state; put tfdl.distributed.BroadcastState()"
        " first among fit's callbacks, or call tfdl.distributed.Replicas(model, optimizer).broadcast() before the first"
        " step"
    )


class _Reducing:
    """Mixed in front of an optimizer's class."""

    _plain_class: type
    _reduction: dict[str, Any]
    _share_state: Any = _not_yet  # called before the first averaging; None when all ranks hold one state

    def _averaged(self, gradients: Any) -> list[Any]:
        world, gradients = world_of(self), list(gradients)
        if world.size == 1:
            return gradients
        if self._share_state is not None:
            self._share_state()
            self._share_state = None
        averaged: list[Any] = [None] * len(gradients)
        dense = []
        for place, gradient in enumerate(gradients):
            if isinstance(gradient, tf.IndexedSlices) and not self._reduction["sparse_as_dense"]:
                averaged[place] = _gathered(gradient, world)
            elif gradient is not None:
                dense.append(place)
        for place, mean in zip(dense, self._means([gradients[place] for place in dense], world), strict=True):
            averaged[place] = mean
        return averaged

    def _means(self, gradients: list[Any], world: World) -> list[Any]:
        tensors = [tf.convert_to_tensor(gradient) for gradient in gradients]
        size, compression = self._reduction["bucket_bytes"], self._reduction["compression"]
        if compression == "none":
            return [total / world.size for total in sum_over_ranks(tensors, world, bucket_bytes=size)]
        shares = [tensor / world.size for tensor in tensors]
        return sum_over_ranks(shares, world, bucket_bytes=size, wire_dtype=compression)


class _ReducesBeforeClipping(_Reducing):
    """Keras clips at the one place where an update's gradients are whole: accumulated, and not yet used."""

    def _clip_gradients(self, grads: Any) -> Any:
        return super()._clip_gradients(self._averaged(grads))  # type: ignore[misc]


class _ReducesFirst(_Reducing):
    """For optimizers that hand gradients on to others.

    One that scales the loss looks for infinite gradients before that: they must be those of all ranks by then. One that
    gives each variable an optimizer of its own never clips, and its gradients travel best together.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        return super().apply(self._averaged(grads), trainable_variables)  # type: ignore[misc]


class _Forbidden:
    """Mixed in front of an optimizer's class."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:  # noqa: ARG002
        raise plain_optimizer_error(type(self).__name__, current_world().size)


def _subclass(cls: type, mixin: type | None = None) -> type:
    """The class with the reduction mixed in, under its own name: it is saved, and read back, as what it was."""
    hands_on = issubclass(cls, (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer))
    mixin = mixin or (_ReducesFirst if hands_on else _ReducesBeforeClipping)
    own = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_plain_class": cls}
    return type(cls.__name__, (mixin, cls), own)


def _gathered(gradient: tf.IndexedSlices, world: World) -> tf.IndexedSlices:
    """All ranks' rows, each once: an optimizer that squares gradients must see the sum of those of one row."""
    values, indices = world.all_gather(gradient.values), world.all_gather(gradient.indices)
    rows, places = tf.unique(indices)
    sums = tf.math.unsorted_segment_sum(values, places, tf.size(rows))
    return tf.IndexedSlices(sums / world.size, rows, gradient.dense_shape)
