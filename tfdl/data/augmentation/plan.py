"""What happens to a training image, in which order, and with which of its draws."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdl.config.augmentations import AUGMENTATIONS, AugmentationConfig, choose_augmentations
from tfdl.data.augmentation.change import ImageChange, ImageMix

IMAGE = "image"
LABEL = "label"
MIXED_LABEL = "mixed_label"
"""The label of the image that a sample was mixed with."""
SHARE = "share"
"""How much of a mixed sample's label is its own."""


class Augmentation:
    """A choice of augmentations, applied in the order in which they are registered, whatever the order they are named
    in.

    Args:
        chosen: names or configurations.

    Attributes:
        num_draws: uniform numbers that each sample needs in each epoch.
        mixes: whether each sample is mixed with another one.
    """

    def __init__(self, chosen: Any):
        configs = sorted(choose_augmentations(list(chosen)), key=lambda config: AUGMENTATIONS.names.index(config.name))
        self._changes: list[ImageChange] = [_built(config) for config in configs if not config.mixes]
        self._mixes: list[ImageMix] = [_built(config) for config in configs if config.mixes]
        self.mixes = bool(self._mixes)
        # One draw chooses among several ways to mix.
        self._mix_draws = 1 + max(mix.num_draws for mix in self._mixes) if self._mixes else 0
        self.num_draws = sum(change.num_draws for change in self._changes) + self._mix_draws

    def __call__(
        self,
        batch: Mapping[str, Any],
        draws: Any,
        partners: Mapping[str, Any] | None = None,
        partner_draws: Any = None,
    ) -> dict[str, Any]:
        """A batch with its images changed.

        Args:
            batch: ``image``, uint8 ``(b, h, w, c)``, and ``label``.
            draws: ``(b, num_draws)`` in [0, 1).
            partners: as ``batch``: the sample that each one is mixed with, where ``mixes``.
            partner_draws: the partners' own draws, by which each is changed first, as it would be by itself.

        Returns:
            The batch; with ``mixes`` the images are float32 from 0 to 255, and ``mixed_label`` and ``share`` are added.
        """
        images = self._changed(batch[IMAGE], draws)
        if not self.mixes:
            return {**batch, IMAGE: images}
        assert partners is not None
        partner_images = self._changed(partners[IMAGE], partner_draws)
        mixed, share = self._mixed(images, partner_images, draws[:, -self._mix_draws :])
        return {**batch, IMAGE: mixed, MIXED_LABEL: partners[LABEL], SHARE: share}

    def _changed(self, images: Any, draws: Any) -> Any:
        start = 0
        for change in self._changes:
            images = change.apply(images, draws[:, start : start + change.num_draws])
            start += change.num_draws
        return images

    def _mixed(self, images: Any, partners: Any, draws: Any) -> tuple[Any, Any]:
        """Mixed images, and each sample's own share; with several ways to mix, each sample takes one of them."""
        images = tf.cast(images, tf.float32)
        partners = tf.cast(partners, tf.float32)
        results = [mix.apply(images, partners, draws[:, 1 : 1 + mix.num_draws]) for mix in self._mixes]
        mixed, share = results[0]
        chosen = tf.cast(draws[:, 0] * len(results), tf.int32)  # (b,)
        for number, (other_mixed, other_share) in enumerate(results[1:], 1):
            takes_other = chosen == number
            mixed = tf.where(takes_other[:, tf.newaxis, tf.newaxis, tf.newaxis], other_mixed, mixed)
            share = tf.where(takes_other, other_share, share)
        return mixed, share


def _built(config: AugmentationConfig) -> Any:
    build = AUGMENTATIONS.load(config.name)
    return build(config)


def mixed_loss(loss: Any, partner_loss: Any, share: Any) -> Any:
    """The loss of a mixed image, which has both labels.

    Args:
        loss: of the sample's own label, ``(b,)``.
        partner_loss: of the other image's label, ``(b,)``.
        share: how much of the label is the sample's own, ``(b,)``.
    """
    share = tf.cast(share, loss.dtype)
    return share * loss + (1 - share) * partner_loss
