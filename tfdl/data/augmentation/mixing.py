r"""Two images become one: mixup and CutMix."""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import betaincinv

from tfdl.config.augmentations import AugmentationConfig
from tfdl.data.augmentation.boxes import inside
from tfdl.data.augmentation.change import ImageMix

# Both parameters of the Beta distribution that mixup's share comes from: the paper's for ImageNet.
_MIXUP_ALPHA = 0.2
# The distribution is looked up by this many of its quantiles, with lines between them.
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
        draws: ``(b, 1)`` in [0, 1): the share's quantile.

    Returns:
        Mixed images ``(b, h, w, c)``, and the share $\lambda$, drawn from $\operatorname{Beta}(0.2, 0.2)$, ``(b,)``.
    """
    share = _beta_quantile(draws[:, 0], _MIXUP_ALPHA)
    weight = share[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return weight * images + (1 - weight) * partners, share


def cutmix(images: Any, partners: Any, draws: Any) -> tuple[Any, Any]:
    r"""CutMix (Yun et al., 2019, arXiv:1905.04899): a rectangle of the other image.

    With $\lambda$ drawn from $\operatorname{Beta}(1, 1)$, its sides are $\sqrt{1 - \lambda}$ of the image's, about a
    centre that is drawn. What lies outside of the image is cut off.

    Args:
        images: float32 ``(b, h, w, c)``.
        partners: the images that rectangles are taken from, of the same shape.
        draws: ``(b, 3)`` in [0, 1): $\lambda$, the centre from the top and from the left.

    Returns:
        Mixed images ``(b, h, w, c)``, and the fraction of each that is its own, ``(b,)``.
    """
    height, width = images.shape[1], images.shape[2]
    side = tf.sqrt(1 - draws[:, 0])
    box_height = tf.cast(side * height, tf.int32)
    box_width = tf.cast(side * width, tf.int32)
    top = tf.cast(draws[:, 1] * height, tf.int32) - box_height // 2
    left = tf.cast(draws[:, 2] * width, tf.int32) - box_width // 2
    is_cut = inside(images.shape, top, left, box_height, box_width)
    share = 1 - tf.reduce_mean(tf.cast(is_cut, tf.float32), axis=(1, 2, 3))
    return tf.where(is_cut, partners, images), share


def _beta_quantile(uniform: Any, alpha: float) -> Any:
    """Uniform numbers ``(b,)`` to samples of the symmetric Beta distribution."""
    quantiles = tf.constant(betaincinv(alpha, alpha, np.linspace(0, 1, _QUANTILES)), tf.float32)
    position = uniform * (_QUANTILES - 1)
    below = tf.cast(position, tf.int32)
    fraction = position - tf.cast(below, tf.float32)
    return (1 - fraction) * tf.gather(quantiles, below) + fraction * tf.gather(quantiles, below + 1)
