"""Any Keras 3 optimizer, made data-parallel."""

from typing import Any, Literal

import keras
import tensorflow as tf

from tfdl.distributed.buckets import sum_over_ranks
from tfdl.distributed.world import current_world
from tfdl.errors import UserError

Compression = Literal["none", "float16", "bfloat16"]


def DistributedOptimizer(optimizer: Any, *, compression: Compression = "none", sparse_as_dense: bool = True) -> Any:  # noqa: N802
    r"""Makes a Keras optimizer average its gradients over all ranks before it clips and applies them.

    With $g_r$ the gradient on rank $r$ of $n$, every rank updates with $\frac1n \sum_r g_r$: the gradient of the mean
    loss over all ranks' samples, as long as their batches are equally large (``SyncCheck`` looks at that). Gradients
    that are accumulated (``gradient_accumulation_steps``) are averaged once for each update. Where gradients are scaled
    for float16 (``keras.optimizers.LossScaleOptimizer``), the averaged ones decide whether a step is skipped, so all
    ranks skip the same steps.

    It is the optimizer itself that comes back, with its state, learning rate and everything else; its class has become
    a subclass of what it was. It is saved as the plain optimizer: after ``keras.models.load_model`` wrap it again
    (``model.optimizer = DistributedOptimizer(model.optimizer)``; this package's callbacks refuse to train without).

    Args:
        optimizer: any ``keras.optimizers.Optimizer``.
        compression: ``float16`` or ``bfloat16`` halves what float32 gradients send, and rounds them.
        sparse_as_dense: gradients of embeddings are added up as whole tables; ``False`` gathers only the rows that
            occur, which is less for tables much larger than the batch.

    Returns:
        The same object. On one rank it does what it did before.

    Raises:
        UserError: no Keras optimizer, or an unknown compression.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UserError(
            f"DistributedOptimizer got {type(optimizer).__name__}, expected a Keras 3 optimizer such as"
            " keras.optimizers.Adam(1e-3)"
        )
    if compression not in ("none", "float16", "bfloat16"):
        raise UserError(f"compression={compression!r}, expected one of none, float16, bfloat16")
    if not is_distributed(optimizer):
        optimizer.__class__ = _subclass(type(optimizer))
    optimizer._compression, optimizer._sparse_as_dense = compression, sparse_as_dense
    return optimizer


def is_distributed(optimizer: Any) -> bool:
    """Whether ``DistributedOptimizer`` has been here."""
    return isinstance(optimizer, _Reducing)


def undo(optimizer: Any) -> Any:
    """The optimizer as it was before ``DistributedOptimizer``; the same object."""
    if is_distributed(optimizer):
        optimizer.__class__ = type(optimizer)._plain_class
    return optimizer


class _Reducing:
    """Mixed in front of an optimizer's class."""

    _plain_class: type
    _compression: Compression
    _sparse_as_dense: bool

    def _averaged(self, gradients: Any) -> list[Any]:
        world = current_world()
        gradients = list(gradients)
        if world.size == 1:
            return gradients
        averaged: list[Any] = [None] * len(gradients)
        dense = []
        for place, gradient in enumerate(gradients):
            if isinstance(gradient, tf.IndexedSlices) and not self._sparse_as_dense:
                averaged[place] = _gathered(gradient, world)
            elif gradient is not None:
                dense.append(place)
        tensors = [tf.convert_to_tensor(gradients[place]) for place in dense]
        wire = None if self._compression == "none" else self._compression
        for place, total in zip(dense, sum_over_ranks(tensors, world, wire_dtype=wire), strict=True):
            averaged[place] = total / world.size
        return averaged


class _ReducesBeforeClipping(_Reducing):
    """Keras clips at the one place where an update's gradients are whole: accumulated, and not yet used."""

    def _clip_gradients(self, grads: Any) -> Any:
        return super()._clip_gradients(self._averaged(grads))  # type: ignore[misc]


class _ReducesBeforeScaling(_Reducing):
    """A loss-scaling optimizer looks for infinite gradients first: they must be those of all ranks by then."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        return super().apply(self._averaged(grads), trainable_variables)  # type: ignore[misc]


def _subclass(cls: type) -> type:
    """The class with the reduction mixed in, under its own name: it is saved, and read back, as what it was."""
    scaling = issubclass(cls, keras.optimizers.LossScaleOptimizer)
    mixin = _ReducesBeforeScaling if scaling else _ReducesBeforeClipping
    own = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_plain_class": cls}
    return type(cls.__name__, (mixin, cls), own)


def _gathered(gradient: tf.IndexedSlices, world: Any) -> tf.IndexedSlices:
    """All ranks' rows beside each other, each rank's own first dimension."""
    return tf.IndexedSlices(
        world.all_gather(gradient.values) / world.size, world.all_gather(gradient.indices), gradient.dense_shape
    )
