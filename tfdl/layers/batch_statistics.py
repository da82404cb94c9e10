"""Normalization by the statistics of a batch, on one rank or over all of them: the mathematics of the layer.

Ranks exchange count, mean and sum of squared distances in one collective on the way forward, and two sums in one on the
way back.
"""

from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World, current_statistics_weight


def normalized(
    values: Any, gamma: Any, beta: Any, epsilon: float, world: World, weight: Any = None
) -> tuple[Any, Any, Any, Any]:
    r"""$\gamma \hat x + \beta$ with $\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}$ over the values of all ranks.

    Each rank's count, mean and sum of squared distances to its own mean are joined exactly (Chan, Golub and LeVeque,
    1983), so that a mean far larger than the deviation is harmless. With $w$ a position's weight, $n$ the sum of all
    weights and $g$ the gradient of the result, the backward pass is

    $$\frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Bigl( g -
      \frac wn \sum g - \frac wn\, \hat x \sum g\, \hat x \Bigr)$$

    Args:
        values: ``(batch, ..., channels)``, this rank's part.
        gamma, beta: ``(channels,)``, in the dtype to compute in.
        epsilon: added to the variance.
        world: the ranks.
        weight: ``(m, 1)`` in the dtype of ``gamma``, 1 for a position that counts and 0 for one that does not; none if
            all of them do. ``m`` is the number of positions, the product of all axes but the last.

    Returns:
        The outputs, of the shape of ``values`` and the dtype of ``gamma``; the mean and the (biased) variance,
        ``(channels,)`` each, and the number of positions that counted, which carry no gradient.
    """
    rows = tf.cast(tf.reshape(values, [-1, values.shape[-1]]), gamma.dtype)  # (m, channels)
    present = tf.cast(current_statistics_weight(), rows.dtype)

    @tf.custom_gradient
    def run(rows: Any, gamma: Any, beta: Any) -> Any:
        mine, own_mean, lost, squares, centred = _moments(rows, weight)
        count, mean, squares = joined(mine * present, own_mean + lost, squares * present, world)
        total = tf.maximum(count, 1.0)
        variance = squares / total
        inverse = tf.math.rsqrt(variance + epsilon)
        shift = mean - own_mean  # this rank's values are kept as distances to its own mean
        factor = gamma * inverse
        outputs = centred * factor + (beta - shift * factor)

        def backward(upstream: Any, *_: Any) -> Any:
            by_beta = tf.reduce_sum(upstream, 0)
            by_gamma = (tf.reduce_sum(upstream * centred, 0) - shift * by_beta) * inverse
            sums = world.all_reduce(tf.stack([by_beta, by_gamma])) * (present / total)  # (2, channels)
            slope = sums[1] * inverse
            through = centred * slope + (sums[0] - shift * slope)
            through = through if weight is None else through * weight
            return factor * (upstream - through), by_gamma, by_beta

        return (outputs, mean, variance, count), backward

    outputs, mean, variance, count = run(rows, gamma, beta)
    return tf.reshape(outputs, tf.shape(values)), mean, variance, count


def _moments(rows: Any, weight: Any) -> tuple[Any, Any, Any, Any, Any]:
    """This rank's moments and the rows' distances to the mean, ``(m, channels)``.

    Returns:
        The count (a scalar); the mean, what its sum lost to rounding, and the sum of squared distances to both together
        (a value for each channel); the distances to the mean without what it lost.
    """
    count = tf.cast(tf.shape(rows)[0], rows.dtype) if weight is None else tf.reduce_sum(weight)
    total = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(rows if weight is None else rows * weight, 0) / total
    centred = rows - mean
    weighted = centred if weight is None else centred * weight
    lost = tf.reduce_sum(weighted, 0) / total
    squares = tf.reduce_sum(weighted * centred, 0) - count * tf.square(lost)
    return count, mean, lost, squares, centred


def joined(count: Any, mean: Any, squares: Any, world: World) -> tuple[Any, Any, Any]:
    """The moments of all ranks' positions together, in one collective.

    Args:
        count: scalar, this rank's positions.
        mean, squares: ``(channels,)``, their mean and the sum of squared distances to it.
        world: the ranks.
    """
    if world.size == 1:
        return count, mean, squares
    packed = tf.concat([tf.reshape(count, [1]), mean, squares], 0)[tf.newaxis]  # (1, 1 + 2 * channels)
    gathered = tf.ensure_shape(world.all_gather(packed), [world.size, packed.shape[1]])
    counts, means, all_squares = tf.split(gathered, [1, mean.shape[0], mean.shape[0]], axis=1)
    total = tf.reduce_sum(counts)
    joined_mean = tf.reduce_sum(counts * means, 0) / tf.maximum(total, 1.0)
    between = tf.reduce_sum(counts * tf.math.squared_difference(means, joined_mean), 0)
    return total, joined_mean, tf.reduce_sum(all_squares, 0) + between
