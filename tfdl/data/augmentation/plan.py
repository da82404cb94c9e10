"""The chosen augmentations, their order, and the draws that each of them uses."""

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
"""The weight of a mixed sample's own label; the other label has the rest."""


class Augmentation:
    """Several augmentations. They are applied in the order of their registration, not in the order given.

    Args:
        chosen: names or configurations.

    Attributes:
        num_draws: uniform numbers that each sample needs in each epoch.
        mixes: whether each sample is mixed with another one.
    """

    def __init__(self, chosen: Any):
        configs = list(choose_augmentations(list(chosen)))
        configs.sort(key=lambda config: AUGMENTATIONS.names.index(config.name))
        self._changes: list[ImageChange] = [_built(config) for config in configs if not config.mixes]
        self._mixes: list[ImageMix] = [_built(config) for config in configs if config.mixes]
        self.mixes = bool(self._mixes)
        self._num_mix_draws = 0
        if self.mixes:
            # One more draw chooses among several ways to mix.
            self._num_mix_draws = 1 + max(mix.num_draws for mix in self._mixes)
        self.num_draws = sum(change.num_draws for change in self._changes) + self._num_mix_draws

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
            partners: with ``mixes``, a batch of the samples to mix with.
            partner_draws: with ``mixes``, the partners' own draws ``(b, num_draws)``. Each partner is changed by them
                before it is mixed, as it is when it is a sample itself.

        Returns:
            The batch. With ``mixes`` the images are float32 from 0 to 255, and ``mixed_label`` and ``share`` are added.
        """
        images = self._changed(batch[IMAGE], draws)
        if not self.mixes:
            return {**batch, IMAGE: images}
        assert partners is not None
        partner_images = self._changed(partners[IMAGE], partner_draws)
        mix_draws = draws[:, -self._num_mix_draws :]  # the last ones; the changes use those before
        mixed, share = self._mixed(images, partner_images, mix_draws)
        return {**batch, IMAGE: mixed, MIXED_LABEL: partners[LABEL], SHARE: share}

    def _changed(self, images: Any, draws: Any) -> Any:
        """The images after all changes, each of which uses the next of the draws."""
        start = 0
        for change in self._changes:
            images = change.apply(images, draws[:, start : start + change.num_draws])
            start += change.num_draws
        return images

    def _mixed(self, images: Any, partners: Any, draws: Any) -> tuple[Any, Any]:
        """Mixed images, and each sample's own share. With several ways to mix, each sample is mixed in one of them."""
        images = tf.cast(images, tf.float32)
        partners = tf.cast(partners, tf.float32)
        results = [mix.apply(images, partners, draws[:, 1 : 1 + mix.num_draws]) for mix in self._mixes]
        chosen = tf.cast(draws[:, 0] * len(results), tf.int32)  # (b,)
        mixed, share = results[0]
        for number, (other_mixed, other_share) in enumerate(results[1:], 1):
            is_chosen = chosen == number
            mixed = tf.where(is_chosen[:, tf.newaxis, tf.newaxis, tf.newaxis], other_mixed, mixed)
            share = tf.where(is_chosen, other_share, share)
        return mixed, share


def _built(config: AugmentationConfig) -> Any:
    build = AUGMENTATIONS.load(config.name)
    return build(config)


def mixed_loss(loss: Any, partner_loss: Any, share: Any) -> Any:
    """The loss of a mixed image, which has two labels.

    Args:
        loss: for the sample's own label, ``(b,)``.
        partner_loss: for the other image's label, ``(b,)``.
        share: weight of the sample's own label, 0 to 1, ``(b,)``.
    """
    share = tf.cast(share, loss.dtype)
    return share * loss + (1 - share) * partner_loss
