"""The reduction of a training step: sums all gradients, and the loss's denominator, over the ranks."""

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
    r"""Computes the gradient of the mean loss over all ranks' samples.

    With $g_r$ the gradient of rank $r$'s loss *sum* and $w_r$ the sum of its samples' weights, every rank gets

    $$\bar g = \frac{\sum_r g_r}{\sum_r w_r}$$

    This is exact for a short last batch and for a rank without samples. The weight is sent in the first bucket, so it
    needs no separate collective.

    Args:
        gradients: gradients of the loss sum; ``None`` for a variable that has none, on all ranks.
        weight: scalar, the sum of this rank's sample weights.
        world: the ranks to reduce over.
        bucket_bytes: see ``sum_over_ranks``.
        wire_dtype: see ``sum_over_ranks``. The weight is never rounded.

    Returns:
        The averaged gradients, dense, in the same order; ``None`` where the argument was ``None``.
    """
    dense = {index: tf.convert_to_tensor(gradient) for index, gradient in enumerate(gradients) if gradient is not None}
    reduced: list[Any] = [None] * len(gradients)
    if not dense:
        return reduced
    tensors = list(dense.values())
    # In the widest dtype of the gradients, the weight shares a bucket with them. With compression, float32 tensors are
    # rounded, so the weight is float64 and has its own message.
    weight_dtype = max((tensor.dtype for tensor in tensors), key=lambda dtype: dtype.size)
    if wire_dtype:
        weight_dtype = tf.float64
    tensors.append(tf.cast(weight, weight_dtype))
    *sums, total_weight = sum_over_ranks(tensors, world, bucket_bytes=bucket_bytes, wire_dtype=wire_dtype)
    # A batch whose values are all masked has the weight 0 and gradients of 0, which stay 0.
    divisor = tf.where(total_weight == 0, tf.ones_like(total_weight), total_weight)
    for index, gradient_sum in zip(dense, sums, strict=True):
        reduced[index] = gradient_sum / tf.cast(divisor, gradient_sum.dtype)
    return reduced
