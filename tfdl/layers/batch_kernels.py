"""Batch normalization by TensorFlow's kernels: one for the whole forward pass and one for the backward pass."""

import math
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World, current_statistics_weight
from tfdl.layers.batch_statistics import joined

LEAST_SIZE = 2048
"""Values in one sample from which the kernels pay. On two CPU cores a batch of 64 samples of 1024 values takes them 1.5
times as long as the formula written out, of 2048 values 0.6 times: starting one costs about 0.1 ms."""


def kernels_pay(values: Any) -> bool:
    """Decided by what all ranks and batches have in common, so that all ranks join in the same collectives."""
    sizes = values.shape[1:]
    large = not sizes.is_fully_defined() or math.prod(sizes) >= LEAST_SIZE
    return large and values.dtype in (tf.float32, tf.float16, tf.bfloat16)


def normalized_by_kernel(values: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:
    """As ``batch_statistics.normalized``, without weights; ``gamma`` is float32, the outputs have the inputs' dtype."""
    images = _as_images(values)
    run = _on_one_rank if world.size == 1 else _over_ranks
    outputs, mean, variance, count = run(images, gamma, beta, epsilon, world)
    return outputs if images is values else tf.reshape(outputs, tf.shape(values)), mean, variance, count


def inferred_by_kernel(values: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """The values ``(batch, ..., channels)`` by statistics that are given."""
    images = _as_images(values)
    outputs, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    )
    return outputs if images is values else tf.reshape(outputs, tf.shape(values))


def _as_images(values: Any) -> Any:
    """Channels-last images, of m by 1 pixels if the values are none themselves."""
    return values if values.shape.rank == 4 else tf.reshape(values, [1, -1, 1, values.shape[-1]])


def _on_one_rank(images: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:  # noqa: ARG001
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = _count(images)
    return outputs, mean, _biased(variance, count), count * current_statistics_weight()


def _over_ranks(images: Any, gamma: Any, beta: Any, epsilon: float, world: World) -> tuple[Any, Any, Any, Any]:
    """The kernels for this rank's part, and one exchange each way."""
    present = current_statistics_weight()

    @tf.custom_gradient
    def run(images: Any, gamma: Any, beta: Any) -> Any:
        mine = _count(images) * present
        _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        here = mine > 0  # the kernel answers an empty batch with NaN
        mean, variance = tf.where(here, mean, 0.0), tf.where(here, _biased(variance, mine), 0.0)
        count, mean, squares = joined(mine, mean, variance * mine, world)
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

    result: tuple[Any, Any, Any, Any] = run(images, gamma, beta)
    return result


def _count(images: Any) -> Any:
    """Values in each channel, as float32."""
    return tf.cast(tf.size(images) // images.shape[-1], tf.float32)


def _biased(variance: Any, count: Any) -> Any:
    """The kernel answers with m / (m - 1) * sigma^2, on a GPU with NaN for one value; the statistics are sigma^2."""
    return tf.where(count > 1.0, variance * (count - 1.0) / tf.maximum(count, 1.0), 0.0)
