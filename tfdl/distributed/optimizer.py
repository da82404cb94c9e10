"""Makes any Keras 3 optimizer data-parallel."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import keras

from tfdl.distributed.averaging_class import (
    Averaging,
    Reduction,
    Wrapped,
    make_averaging,
    make_plain,
    set_class,
    subclass,
)
from tfdl.distributed.buckets import BUCKET_BYTES
from tfdl.distributed.local_variables import check_local, slots_of, variables_of
from tfdl.distributed.training_world import training_world
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
    local: Any = (),
    scale_local: bool = True,
) -> Any:
    r"""Makes a Keras optimizer average its gradients over all ranks before it clips and applies them.

    With $g_r$ the gradient on rank $r$ of $n$, every rank updates with $\frac1n \sum_r g_r$. That is the gradient of
    the mean loss over all ranks' samples if all ranks' batches are equally large (``SyncCheck`` checks it). Accumulated
    gradients (``gradient_accumulation_steps``) are averaged once for each update. With loss scaling for float16
    (``keras.optimizers.LossScaleOptimizer``), the averaged gradients decide whether a step is skipped, so all ranks
    skip the same steps.

    The optimizer is changed in place: its ``type`` becomes a subclass of the original class, and its state and learning
    rate stay. A copy (``copy.copy``, ``copy.deepcopy``, ``pickle``, ``type(optimizer).from_config(...)``) averages with
    the same options. Keras's configuration of it is that of the plain optimizer, so a model that was loaded or copied
    (``load_model``, ``clone_model``, ``copy.deepcopy(model)``) has the plain optimizer: wrap it again
    (``model.optimizer = DistributedOptimizer(model.optimizer)``); this package's callbacks and ``fit`` refuse to train
    without. On several ranks the first step raises an error, also of a copy, until ``BroadcastState`` or
    ``Replicas.broadcast`` has given all ranks the same state.

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
        local: a layer or a variable, or a list of them, that each rank trains for itself (Horovod's
            ``PartialDistributedOptimizer``). Their gradients stay on their rank. ``BroadcastState``, ``SyncCheck`` and
            ``Replicas`` leave out their variables and slots. Each rank must save its own.
        scale_local: whether gradients of ``local`` are divided by the number of ranks. They are then gradients of the
            mean loss over all ranks, as the averaged ones are; ``False`` leaves those of this rank's loss.

    Returns:
        The same object. On one rank it behaves like the plain optimizer.

    Raises:
        UserError: the argument is no Keras optimizer, the compression is unknown, ``bucket_bytes`` is below 1, or
            ``local`` has something else than layers and variables, or is used with ``global_clipnorm``: the ranks'
            norms over all variables would differ, and with them the averaged gradients.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise UserError(
            f"DistributedOptimizer got {type(optimizer).__name__}, expected a Keras 3 optimizer such as"
            " keras.optimizers.Adam(1e-3)"
        )
    if _is_of_horovod(optimizer):
        raise UserError(
            f"DistributedOptimizer got an {type(optimizer).__name__} from hvd.DistributedOptimizer, which averages"
            " nothing with Keras 3; remove Horovod's wrapper, and pass the optimizer that was in it"
        )
    if compression not in ("none", "float16", "bfloat16"):
        raise UserError(f"compression={compression!r}, expected one of none, float16, bfloat16")
    if bucket_bytes < 1:
        raise UserError(f"bucket_bytes={bucket_bytes}, expected at least 1")
    parts = check_local(local)
    if parts and any(each.global_clipnorm for each in [optimizer, *inner_optimizers(optimizer)]):
        raise UserError(
            "local= with global_clipnorm, expected clipnorm or clipvalue, which clip each variable alone: the ranks'"
            " norms over all variables would differ"
        )
    for inner in inner_optimizers(optimizer):
        undo(inner)  # otherwise gradients would be averaged twice
    return make_averaging(
        undo(optimizer), Reduction(compression, sparse_as_dense, bucket_bytes, world, parts, scale_local)
    )


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
    return isinstance(optimizer, Averaging)


def world_of(optimizer: Any) -> World:
    """Returns the ranks over which an optimizer averages; for a plain optimizer, the current World."""
    return optimizer._world() if is_distributed(optimizer) else training_world()


def local_variables(optimizers: Iterable[Any]) -> list[Any]:
    """Returns what optimizers do not share over the ranks: the variables of ``local``, and their slots."""
    found = []
    for optimizer in optimizers:
        variables = variables_of(optimizer._reduction.local) if is_distributed(optimizer) else []
        found += variables
        for each in [optimizer, *inner_optimizers(optimizer)]:
            found += slots_of(each, variables)
    return found


def undo(optimizer: Any) -> Any:
    """Restores the optimizer's class from before ``DistributedOptimizer`` or ``forbid``. Returns the same object."""
    return make_plain(optimizer)


def forbid(optimizer: Any) -> None:
    """Makes a plain optimizer raise an error when it steps, because several ranks train."""
    if not issubclass(type(optimizer), _Forbidden):
        set_class(optimizer, subclass(type(optimizer), _Forbidden))


def plain_optimizer_error(optimizers: Sequence[Any], size: int) -> UserError:
    """The error for optimizers that do not average.

    Args:
        optimizers: one or more.
        size: the number of ranks.
    """
    names = ", ".join(type(optimizer).__name__ for optimizer in optimizers)
    if any(_is_of_horovod(optimizer) for optimizer in optimizers):
        names += " (hvd.DistributedOptimizer averages nothing with Keras 3)"
    return UserError(
        f"{size} ranks train with a plain {names}, so each rank would train a separate model; compile with"
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
        reduction = inner._reduction
        make_plain(inner)
        make_averaging(optimizer, reduction)
    return optimizer


def _is_of_horovod(optimizer: Any) -> bool:
    """Whether ``hvd.DistributedOptimizer`` made the optimizer. Horovod is not imported to find out."""
    return type(optimizer).__module__.partition(".")[0] == "horovod"


class _Forbidden(Wrapped):
    """A mixin before an optimizer's class: refuses to step."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:  # noqa: ARG002
        raise plain_optimizer_error([self], current_world().size)
