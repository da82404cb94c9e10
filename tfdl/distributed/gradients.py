"""The one reduction of a training step: every gradient and the loss's denominator in one buffer for each dtype."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World


def reduce_gradients(gradients: Sequence[Any], weight: Any, world: World) -> list[Any]:
    r"""The gradient of the mean loss over all ranks' samples.

    With $g_r$ the gradient of rank $r$'s loss *sum* and $w_r$ the sum of its samples' weights, every rank gets

    $$\bar g = \frac{\sum_r g_r}{\sum_r w_r}$$

    so a short last batch, or a rank with no sample at all, is exact. The weight travels in the gradients' own buffer:
    one collective a step for gradients of one dtype.

    Args:
        gradients: gradients of the loss sum, ``None`` where a variable has none (then on every rank).
        weight: scalar, the sum of this rank's sample weights.
        world: the ranks to reduce over.

    Returns:
        The averaged gradients, dense, in the same order, ``None`` where it was given.
    """
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    if world.size == 1:
        return [None if gradient is None else gradient / tf.cast(weight, gradient.dtype) for gradient in dense]

    reduced: list[Any] = [None] * len(dense)
    for dtype in sorted({gradient.dtype.name for gradient in dense if gradient is not None}):
        places = [i for i, gradient in enumerate(dense) if gradient is not None and gradient.dtype.name == dtype]
        sums, total = _reduce_buffer([dense[i] for i in places], tf.cast(weight, dtype), world)
        for place, value in zip(places, sums, strict=True):
            reduced[place] = value / total
    return reduced


def _reduce_buffer(tensors: list[Any], weight: Any, world: World) -> tuple[list[Any], Any]:
    """Sums tensors of one dtype, and a scalar, over the ranks in one collective."""
    flat = [tf.reshape(tensor, [-1]) for tensor in tensors]
    buffer = world.all_reduce(tf.concat([*flat, tf.reshape(weight, [1])], axis=0))
    *parts, total = tf.split(buffer, [*(tensor.shape.num_elements() for tensor in tensors), 1])
    return [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)], total[0]
