"""Normalization by the statistics of a batch, on one rank or over all of them: the mathematics of the layer.

Each function takes values and answers with the normalized values, and the mean, variance and count that they were
normalized with. Ranks exchange count, mean and sum of squared distances in one collective on the way forward, and two
sums in one on the way back.
"""

from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World, current_statistics_weight

FUSED_DTYPES = (tf.float32, tf.float16, tf.bfloat16)


def fused(inputs: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:  # noqa: ARG001
    """One rank: TensorFlow's kernel for the whole of it."""
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = _count(inputs)
    return outputs, mean, _biased(variance, count), count * current_statistics_weight()


def fused_over_ranks(inputs: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:
    """As ``normalize_rows``, with TensorFlow's kernels for this rank's part and one exchange each way."""
    present = current_statistics_weight()

    @tf.custom_gradient
    def run(images: Any, gamma: Any, beta: Any) -> Any:
        mine = _count(images) * present
        _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        here = mine > 0  # the kernel answers an empty batch with NaN
        mean, variance = tf.where(here, mean, 0.0), tf.where(here, _biased(variance, mine), 0.0)
        count, mean, squares = _joined(mine, mean, variance * mine, world)
        variance = squares / tf.maximum(count, 1.0)
        frozen = {"epsilon": epsilon, "is_training": False}
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=gamma, offset=beta, mean=mean, variance=variance, **frozen
        )

        def backward(upstream: Any, *_: Any) -> Any:
            # With the statistics taken as constants the kernel gives g * gamma / sigma and both sums; what the
            # statistics themselves add to the gradient is put in below.
            straight, by_gamma, by_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream, x=images, scale=gamma, reserve_space_1=mean, reserve_space_2=variance,
                reserve_space_3=[], **frozen,
            )  # fmt: skip
            by_beta_all, by_gamma_all = tf.unstack(world.all_reduce(tf.stack([by_beta, by_gamma])) / count)
            inverse = tf.math.rsqrt(variance + epsilon)
            # x_hat * slope + offset, in one pass of the same kernel; nothing for a stand-in batch.
            through, *_ = tf.raw_ops.FusedBatchNormV3(
                x=images,
                scale=gamma * inverse * by_gamma_all * present,
                offset=gamma * inverse * by_beta_all * present,
                mean=mean,
                variance=variance,
                **frozen,
            )
            return straight - through, by_gamma, by_beta

        return (outputs, mean, variance, count), backward

    result: tuple[Any, Any, Any, Any] = run(inputs, gamma, beta)
    return result


def _count(inputs: Any) -> Any:
    """Values in each channel of channels-last inputs, as float32."""
    return tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)


def _biased(variance: Any, count: Any) -> Any:
    """The fused kernel answers with m / (m - 1) * sigma^2 (m for one value); the statistics here are sigma^2."""
    return variance * (tf.maximum(count, 2.0) - 1.0) / tf.maximum(count, 2.0)


def normalize_rows(rows: Any, weight: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:
    r"""$(x - \mu) / \sqrt{\sigma^2 + \epsilon}$ over the rows of all ranks, differentiable in ``rows``.

    Each rank's count, mean and sum of squared distances to its own mean are joined exactly (Chan, Golub and LeVeque,
    1983), so that a mean far larger than the deviation is harmless. With $w$ a row's weight, $n$ the sum of all
    weights and $g$ the gradient of the result, the backward pass is

    $$\frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \Bigl( g -
      \frac wn \sum g - \frac wn\, \hat x \sum g\, \hat x \Bigr)$$

    Args:
        rows: ``(m, channels)``, this rank's values.
        weight: ``(m, 1)``, 1 for a row that counts and 0 for one that does not.
        epsilon: added to the variance.
        world: the ranks.

    Returns:
        The normalized rows; the mean and the (biased) variance, ``(channels,)`` each, and the sum of all weights, which
        carry no gradient.
    """

    @tf.custom_gradient
    def run(values: Any) -> Any:
        count, mean, squares = _joined(*_moments(values, weight), world)
        total = tf.maximum(count, 1.0)
        variance = squares / total
        inverse = tf.math.rsqrt(variance + epsilon)
        normalized = (values - mean) * inverse

        def backward(upstream: Any, *_: Any) -> Any:
            sums = tf.stack([tf.reduce_sum(upstream, 0), tf.reduce_sum(upstream * normalized, 0)])  # (2, channels)
            sums = world.all_reduce(sums) / total
            return inverse * (upstream - weight * (sums[0] + normalized * sums[1]))

        return (normalized, mean, variance, count), backward

    result: tuple[Any, Any, Any, Any] = run(rows)
    return result


def _moments(rows: Any, weight: Any) -> tuple[Any, Any, Any]:
    """This rank's count (scalar), mean and sum of squared distances to it (a value for each channel)."""
    count = tf.reduce_sum(weight)
    total = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(rows * weight, 0) / total
    mean += tf.reduce_sum((rows - mean) * weight, 0) / total  # what the first sum lost to rounding
    return count, mean, tf.reduce_sum(weight * tf.math.squared_difference(rows, mean), 0)


def _joined(count: Any, mean: Any, squares: Any, world: World) -> tuple[Any, Any, Any]:
    """The moments of all ranks' rows together, in one collective."""
    if world.size == 1:
        return count, mean, squares
    packed = tf.concat([tf.reshape(count, [1]), mean, squares], 0)[tf.newaxis]  # (1, 1 + 2 * channels)
    gathered = tf.ensure_shape(world.all_gather(packed), [world.size, packed.shape[1]])
    counts, means, all_squares = tf.split(gathered, [1, mean.shape[0], mean.shape[0]], axis=1)
    total = tf.reduce_sum(counts)
    joined_mean = tf.reduce_sum(counts * means, 0) / tf.maximum(total, 1.0)
    between = tf.reduce_sum(counts * tf.math.squared_difference(means, joined_mean), 0)
    return total, joined_mean, tf.reduce_sum(all_squares, 0) + between
