"""The reduction of a training step: every gradient, and the loss's denominator, added up over the ranks."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.buckets import BUCKET_BYTES, sum_over_ranks
from tfdl.distributed.world import World


def reduce_gradients(
    gradients: Sequence[Any], weight: Any, world: World, *, bucket_bytes: int = BUCKET_BYTES
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
        bucket_bytes: see ``sum_over_ranks``.

    Returns:
        The averaged gradients, dense, in the same order, ``None`` where it was given.
    """
    dense = {place: tf.convert_to_tensor(found) for place, found in enumerate(gradients) if found is not None}
    reduced: list[Any] = [None] * len(gradients)
    if not dense:
        return reduced
    tensors = list(dense.values())
    widest = max((tensor.dtype for tensor in tensors), key=lambda dtype: dtype.size)
    weight = tf.cast(weight, widest)
    *tensors, total = sum_over_ranks([*tensors, weight], world, bucket_bytes=bucket_bytes)
    for place, tensor in zip(dense, tensors, strict=True):
        reduced[place] = tensor / tf.cast(total, tensor.dtype)
    return reduced
