"""Two images become one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import betaincinv

from tfdl.data.augmentation.boxes import inside

MIXING_DRAWS = 4
# Of the Beta distribution that the share comes from, both parameters: the papers' for ImageNet.
_ALPHA = {"mixup": 0.2, "cutmix": 1.0}
_QUANTILES = 4097


class Mixing:
    r"""mixup (Zhang et al., 2017, arXiv:1710.09412) and CutMix (Yun et al., 2019, arXiv:1905.04899).

    With a share $\lambda$ drawn from $\operatorname{Beta}(\alpha, \alpha)$, mixup is
    $\lambda\,x + (1 - \lambda)\,x'$, $\alpha = 0.2$. CutMix takes a rectangle of the other image with the sides
    $\sqrt{1 - \lambda}$ of the image's, about a centre that is drawn, $\alpha = 1$; what lies outside is cut off, and
    $\lambda$ is the part of the area that stayed. With both, each sample is mixed in one way, by chance.

    Args:
        names: ``mixup``, ``cutmix`` or both.
    """

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)

    def __call__(self, images: Any, others: Any, draws: Any) -> tuple[Any, Any]:
        """Mixed images and each one's share of its own.

        Args:
            images, others: ``(b, h, w, c)``, from 0 to 255.
            draws: ``(b, 4)`` in [0, 1): which way, share, centre from the top and from the left.

        Returns:
            float32 images ``(b, h, w, c)``, and the share $\\lambda$, float32 ``(b,)``.
        """
        images, others = tf.cast(images, tf.float32), tf.cast(others, tf.float32)
        ways = [getattr(self, f"_{name}")(images, others, draws) for name in self._names]
        if len(ways) == 1:
            return ways[0]
        first = draws[:, 0] < 0.5
        (image, share), (other_image, other_share) = ways
        mixed = tf.where(first[:, tf.newaxis, tf.newaxis, tf.newaxis], image, other_image)
        return mixed, tf.where(first, share, other_share)

    def _mixup(self, images: Any, others: Any, draws: Any) -> tuple[Any, Any]:
        share = _from_beta(draws[:, 1], _ALPHA["mixup"])
        part = share[:, tf.newaxis, tf.newaxis, tf.newaxis]
        return part * images + (1 - part) * others, share

    def _cutmix(self, images: Any, others: Any, draws: Any) -> tuple[Any, Any]:
        height, width = images.shape[1], images.shape[2]
        side = tf.sqrt(1 - _from_beta(draws[:, 1], _ALPHA["cutmix"]))
        box_height, box_width = tf.cast(side * height, tf.int32), tf.cast(side * width, tf.int32)
        top = tf.cast(draws[:, 2] * height, tf.int32) - box_height // 2
        left = tf.cast(draws[:, 3] * width, tf.int32) - box_width // 2
        cut = inside(images.shape, top, left, box_height, box_width)
        share = 1 - tf.reduce_mean(tf.cast(cut, tf.float32), axis=(1, 2, 3))
        return tf.where(cut, others, images), share


def _from_beta(uniform: Any, alpha: float) -> Any:
    """Uniform numbers ``(b,)`` to the symmetric Beta distribution, by 4,097 of its quantiles and lines between them."""
    if alpha == 1.0:
        return uniform
    quantiles = tf.constant(betaincinv(alpha, alpha, np.linspace(0, 1, _QUANTILES)), tf.float32)
    place = uniform * (_QUANTILES - 1)
    below = tf.cast(place, tf.int32)
    rest = place - tf.cast(below, tf.float32)
    return (1 - rest) * tf.gather(quantiles, below) + rest * tf.gather(quantiles, below + 1)
