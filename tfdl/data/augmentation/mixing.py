"""Augmentations that mix two images: mixup and CutMix."""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import betaincinv

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.boxes import inside
from tfdl.data.augmentation.change import ImageMix

# Both parameters of the Beta distribution that mixup's share is drawn from, as in the paper's experiments on ImageNet.
_MIXUP_ALPHA = 0.2
# Quantiles of the distribution in a table; values between them are interpolated linearly.
_QUANTILES = 4097


def build_mixup(config: AugmentationConfig) -> ImageMix:  # noqa: ARG001
    """See ``mixup``."""
    return ImageMix(mixup, 1)


def build_cutmix(config: AugmentationConfig) -> ImageMix:  # noqa: ARG001
    """See ``cutmix``."""
    return ImageMix(cutmix, 3)


def mixup(images: Any, partners: Any, draws: Any) -> tuple[Any, Any]:
    r"""mixup (Zhang et al., 2017, arXiv:1710.09412): $\lambda\,x + (1 - \lambda)\,x'$.

    Args:
        images: float32 ``(b, h, w, c)``.
        partners: the images to mix with, of the same shape.
        draws: ``(b, 1)`` in [0, 1): the quantile of the share.

    Returns:
        Mixed images ``(b, h, w, c)``, and the share $\lambda$, drawn from $\operatorname{Beta}(0.2, 0.2)$, ``(b,)``.
    """
    share = _beta_quantile(draws[:, 0], _MIXUP_ALPHA)
    weight = share[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return weight * images + (1 - weight) * partners, share


def cutmix(images: Any, partners: Any, draws: Any) -> tuple[Any, Any]:
    r"""CutMix (Yun et al., 2019, arXiv:1905.04899): a rectangle of the image is replaced by the other image's.

    $\lambda$ is drawn from $\operatorname{Beta}(1, 1)$. The sides of the rectangle are $\sqrt{1 - \lambda}$ of the
    image's, and its centre is drawn uniformly. The rectangle is cut off at the edges of the image.

    Args:
        images: float32 ``(b, h, w, c)``.
        partners: the images that rectangles are taken from, of the same shape.
        draws: ``(b, 3)`` in [0, 1): $\lambda$, the distance of the centre from the top and from the left.

    Returns:
        Mixed images ``(b, h, w, c)``, and the fraction of each image that is not replaced, ``(b,)``.
    """
    height, width = images.shape[1:3]
    side = tf.sqrt(1 - draws[:, 0])
    box_height = tf.cast(side * height, tf.int32)
    box_width = tf.cast(side * width, tf.int32)
    top = tf.cast(draws[:, 1] * height, tf.int32) - box_height // 2
    left = tf.cast(draws[:, 2] * width, tf.int32) - box_width // 2
    is_replaced = inside(images.shape, top, left, box_height, box_width)  # (b, h, w, 1)
    share = 1 - tf.reduce_mean(tf.cast(is_replaced, tf.float32), axis=(1, 2, 3))
    return tf.where(is_replaced, partners, images), share


def _beta_quantile(uniform: Any, alpha: float) -> Any:
    """Uniform numbers ``(b,)`` to samples of the symmetric Beta distribution."""
    probabilities = np.linspace(0, 1, _QUANTILES)
    quantiles = tf.constant(betaincinv(alpha, alpha, probabilities), tf.float32)
    position = uniform * (_QUANTILES - 1)
    below = tf.cast(position, tf.int32)
    fraction = position - tf.cast(below, tf.float32)
    return (1 - fraction) * tf.gather(quantiles, below) + fraction * tf.gather(quantiles, below + 1)
