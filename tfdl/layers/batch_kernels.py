"""Batch normalization by TensorFlow's fused kernels: one for the forward pass and one for the backward pass."""

import math
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World, current_statistics_weight
from tfdl.layers.batch_statistics import merge_moments

LEAST_SIZE = 2048
"""Values in one sample from which the fused kernels are faster than the formula.

Starting a kernel costs about 0.1 ms. On two CPU cores with a batch of 64, the kernels take 1.5 times as long as the
formula at 1024 values a sample, and 0.6 times at 2048.
"""


def kernels_pay(values: Any) -> bool:
    """Returns whether the fused kernels are used for ``values``, of shape ``(batch, ..., channels)``.

    The choice depends only on the shape of a sample and the dtype. These are the same on all ranks and in all batches,
    so all ranks take part in the same collectives.
    """
    sizes = values.shape[1:]
    is_large = not sizes.is_fully_defined() or math.prod(sizes) >= LEAST_SIZE
    return is_large and values.dtype in (tf.float32, tf.float16, tf.bfloat16)


def normalize_by_kernel(values: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:
    """Computes the same as ``batch_statistics.normalize`` without weights.

    Args:
        values: ``(batch, ..., channels)``, the batch of this rank.
        gamma, beta: ``(channels,)``, float32.
        epsilon: added to the variance.
        world: the ranks.

    Returns:
        The outputs, of the shape and dtype of ``values``; the mean and the (biased) variance, ``(channels,)`` each; and
        the number of values in a channel over all ranks, a scalar.
    """
    images = _as_images(values)
    if world.size == 1:
        outputs, mean, variance, count = _normalize_on_one_rank(images, gamma, beta, epsilon)
    else:
        outputs, mean, variance, count = _normalize_over_ranks(images, gamma, beta, epsilon, world)
    return _reshape_like(outputs, images, values), mean, variance, count


def infer_by_kernel(values: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Normalizes by given statistics, for inference.

    Args:
        values: ``(batch, ..., channels)``.
        mean, variance, gamma, beta: ``(channels,)``, float32.
        epsilon: added to the variance.

    Returns:
        A tensor of the shape and dtype of ``values``.
    """
    images = _as_images(values)
    outputs, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )
    return _reshape_like(outputs, images, values)


def _as_images(values: Any) -> Any:
    """The values as channels-last images, which the kernels need: ``(1, m, 1, channels)`` unless they have rank 4."""
    if values.shape.rank == 4:
        return values
    return tf.reshape(values, [1, -1, 1, values.shape[-1]])


def _reshape_like(outputs: Any, images: Any, values: Any) -> Any:
    """Undoes ``_as_images``: ``outputs`` of the shape of ``images``, in the shape of ``values``."""
    if images is values:
        return outputs
    return tf.reshape(outputs, tf.shape(values))


def _normalize_on_one_rank(images: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any, Any]:
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = _count_values(images)
    return outputs, mean, _biased_variance(variance, count), count * current_statistics_weight()


def _normalize_over_ranks(
    images: Any, gamma: Any, beta: Any, epsilon: float, world: World
) -> tuple[Any, Any, Any, Any]:
    """Runs the kernels on this rank's batch, with one collective in each direction."""
    rank_weight = current_statistics_weight()  # 0 for a stand-in batch, which must not count

    @tf.custom_gradient
    def run(images: Any, gamma: Any, beta: Any) -> Any:
        local_count = _count_values(images) * rank_weight
        _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        has_values = local_count > 0  # the kernel returns NaN for an empty batch
        mean = tf.where(has_values, mean, 0.0)
        variance = tf.where(has_values, _biased_variance(variance, local_count), 0.0)
        count, mean, squares = merge_moments(local_count, mean, variance * local_count, world)
        variance = squares / tf.maximum(count, 1.0)
        inference = {"epsilon": epsilon, "is_training": False}  # normalize by the statistics of all ranks
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=gamma, offset=beta, mean=mean, variance=variance, **inference
        )

        def backward(upstream: Any, *_: Any) -> Any:
            # With constant statistics the kernel returns g * gamma / sigma and both sums. The gradient through the
            # statistics is subtracted below.
            direct, d_gamma, d_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream, x=images, scale=gamma, reserve_space_1=mean, reserve_space_2=variance,
                reserve_space_3=[], **inference,
            )  # fmt: skip
            sums = world.all_reduce(tf.stack([d_beta, d_gamma]))  # (2, channels)
            mean_d_beta, mean_d_gamma = tf.unstack(sums / count)
            inverse = tf.math.rsqrt(variance + epsilon)
            # Computes x_hat * slope + offset in one pass of the same kernel; zero for a stand-in batch.
            through_statistics, *_ = tf.raw_ops.FusedBatchNormV3(
                x=images,
                scale=gamma * inverse * mean_d_gamma * rank_weight,
                offset=gamma * inverse * mean_d_beta * rank_weight,
                mean=mean,
                variance=variance,
                **inference,
            )
            return direct - through_statistics, d_gamma, d_beta

        return (outputs, mean, variance, count), backward

    result: tuple[Any, Any, Any, Any] = run(images, gamma, beta)
    return result


def _count_values(images: Any) -> Any:
    """The number of values in each channel, as float32."""
    return tf.cast(tf.size(images) // images.shape[-1], tf.float32)


def _biased_variance(variance: Any, count: Any) -> Any:
    r"""The biased variance $\sigma^2$, from the kernel's $m / (m - 1) \sigma^2$.

    On a GPU the kernel returns NaN for a single value, whose variance is zero.
    """
    return tf.where(count > 1.0, variance * (count - 1.0) / tf.maximum(count, 1.0), 0.0)
