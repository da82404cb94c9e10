"""The reduction of a training step: every gradient, and the loss's denominator, added up over the ranks."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.buckets import BUCKET_BYTES, sum_over_ranks
from tfdl.distributed.world import World


def reduce_gradients(
    gradients: Sequence[Any],
    weight: Any,
    world: World,
    *,
    bucket_bytes: int = BUCKET_BYTES,
    wire_dtype: str | None = None,
) -> list[Any]:
    r"""The gradient of the mean loss over all ranks' samples.

    With $g_r$ the gradient of rank $r$'s loss *sum* and $w_r$ the sum of its samples' weights, every rank gets

    $$\bar g = \frac{\sum_r g_r}{\sum_r w_r}$$

    so a short last batch, or a rank with no sample at all, is exact. The weight travels in the first buffer that
    leaves, so it costs no collective of its own.

    Args:
        gradients: gradients of the loss sum, ``None`` where a variable has none (then on every rank).
        weight: scalar, the sum of this rank's sample weights.
        world: the ranks to reduce over.
        bucket_bytes, wire_dtype: see ``sum_over_ranks``; the weight is never rounded.

    Returns:
        The averaged gradients, dense, in the same order, ``None`` where it was given.
    """
    dense = {place: tf.convert_to_tensor(found) for place, found in enumerate(gradients) if found is not None}
    reduced: list[Any] = [None] * len(gradients)
    if not dense:
        return reduced
    tensors = list(dense.values())
    widest = max((tensor.dtype for tensor in tensors), key=lambda dtype: dtype.size)
    # What is sent in 16 bits is float32; a float64 weight beside it stays whole, in a message of its own.
    weight = tf.cast(weight, tf.float64 if wire_dtype else widest)
    *tensors, total = sum_over_ranks([*tensors, weight], world, bucket_bytes=bucket_bytes, wire_dtype=wire_dtype)
    for place, tensor in zip(dense, tensors, strict=True):
        reduced[place] = tensor / tf.cast(total, tensor.dtype)
    return reduced
