"""The formulas of batch normalization, on one rank or over all ranks.

Ranks exchange count, mean and sum of squared distances in one collective of the forward pass, and two sums in one
collective of the backward pass.
"""

from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World, current_statistics_weight


def normalize(
    values: Any, gamma: Any, beta: Any, epsilon: float, world: World, weight: Any = None
) -> tuple[Any, Any, Any, Any]:
    r"""Computes $\gamma \hat x + \beta$ with $\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$ over all ranks' values.

    The count, the mean and the sum of squared distances of each rank are merged exactly (Chan, Golub and LeVeque,
    1983), so the result stays accurate where the mean is far larger than the deviation. With $w$ the weight of a
    position, $n$ the sum of all weights and $g$ the gradient of the result, the backward pass is

    $$\frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Bigl( g -
      \frac wn \sum g - \frac wn\, \hat x \sum g\, \hat x \Bigr)$$

    Args:
        values: ``(batch, ..., channels)``, the batch of this rank.
        gamma, beta: ``(channels,)``, in the dtype to compute in.
        epsilon: added to the variance.
        world: the ranks.
        weight: ``(m, 1)``, or ``(m, channels)`` if the channels differ, in the dtype of ``gamma``: 1 for a position
            that counts, 0 for one that does not. ``m`` is the number of positions, the product of all axes but the
            last. By default all positions count.

    Returns:
        The outputs, of the shape of ``values`` and the dtype of ``gamma``; the mean and the (biased) variance,
        ``(channels,)`` each; and the number of positions that counted over all ranks, a scalar, or with weights a row
        of them. Only the outputs carry a gradient.
    """
    rows = tf.cast(tf.reshape(values, [-1, values.shape[-1]]), gamma.dtype)  # (m, channels)
    rank_weight = tf.cast(current_statistics_weight(), rows.dtype)  # 0 for a stand-in batch, which must not count

    @tf.custom_gradient
    def run(rows: Any, gamma: Any, beta: Any) -> Any:
        local_count, local_mean, residual, local_squares, centred = _moments(rows, weight)
        count, mean, squares = merge_moments(
            local_count * rank_weight, local_mean + residual, local_squares * rank_weight, world
        )
        divisor = tf.maximum(count, 1.0)
        variance = squares / divisor
        inverse = tf.math.rsqrt(variance + epsilon)
        # `centred` holds distances to the mean of this rank, which differ from x - mu by this shift.
        shift = mean - local_mean  # (channels,)
        factor = gamma * inverse
        outputs = centred * factor + (beta - shift * factor)  # (m, channels)

        def backward(upstream: Any, *_: Any) -> Any:
            d_beta = tf.reduce_sum(upstream, 0)  # (channels,)
            d_gamma = (tf.reduce_sum(upstream * centred, 0) - shift * d_beta) * inverse  # (channels,)
            means = world.all_reduce(tf.stack([d_beta, d_gamma])) * (rank_weight / divisor)  # (2, channels)
            slope = means[1] * inverse
            through_statistics = centred * slope + (means[0] - shift * slope)  # (m, channels)
            if weight is not None:
                through_statistics *= weight
            return factor * (upstream - through_statistics), d_gamma, d_beta

        return (outputs, mean, variance, count), backward

    outputs, mean, variance, count = run(rows, gamma, beta)
    return tf.reshape(outputs, tf.shape(values)), mean, variance, count


def _moments(rows: Any, weight: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The moments of this rank's rows, and the rows as distances to their mean.

    The mean is computed twice: the mean of the distances to it is what its sum lost to rounding.

    Returns:
        The count, a scalar or, with weights, ``(1,)`` or ``(channels,)``; the mean, the residual that rounding lost,
        and the sum of squared distances to ``mean + residual``, each ``(channels,)``; and ``rows - mean``,
        ``(m, channels)``.
    """
    if weight is None:
        count = tf.cast(tf.shape(rows)[0], rows.dtype)
        weighted_rows = rows
    else:
        count = tf.reduce_sum(weight, 0)  # (1,) or (channels,)
        counts = weight > 0
        weighted_rows = tf.where(counts, rows, 0)  # not a product: a masked value may be NaN
    divisor = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(weighted_rows, 0) / divisor  # (channels,)
    centred = rows - mean  # (m, channels)
    weighted = centred if weight is None else tf.where(counts, centred, 0)
    residual = tf.reduce_sum(weighted, 0) / divisor  # (channels,)
    squares = tf.reduce_sum(tf.square(weighted), 0) - count * tf.square(residual)  # (channels,)
    return count, mean, residual, squares, centred


def merge_moments(count: Any, mean: Any, squares: Any, world: World) -> tuple[Any, Any, Any]:
    """Merges the moments of all ranks, in one collective.

    Args:
        count: the positions of this rank: a scalar, ``(1,)`` or ``(channels,)``.
        mean, squares: ``(channels,)``, their mean and the sum of squared distances to it.
        world: the ranks.

    Returns:
        Count, mean and sum of squared distances over the positions of all ranks, of the same shapes.
    """
    if world.size == 1:
        return count, mean, squares
    num_counts = count.shape.num_elements()
    channels = mean.shape[0]
    sizes = [num_counts, channels, channels]
    row = tf.concat([tf.reshape(count, [-1]), mean, squares], 0)[tf.newaxis]  # (1, num_counts + 2 * channels)
    gathered = tf.ensure_shape(world.all_gather(row), [world.size, sum(sizes)])
    # (ranks, num_counts), (ranks, channels), (ranks, channels)
    counts, means, rank_squares = tf.split(gathered, sizes, axis=1)
    total_count = tf.reduce_sum(counts, 0)  # (num_counts,)
    total_mean = tf.reduce_sum(counts * means, 0) / tf.maximum(total_count, 1.0)  # (channels,)
    between_ranks = tf.reduce_sum(counts * tf.math.squared_difference(means, total_mean), 0)  # (channels,)
    return tf.reshape(total_count, count.shape), total_mean, tf.reduce_sum(rank_squares, 0) + between_ranks
