"""What happens to a training image, in which order, and with which of its draws."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.data.augmentation.affine import affine
from tfdl.data.augmentation.crop import crop
from tfdl.data.augmentation.erase import erase
from tfdl.data.augmentation.flip import flip
from tfdl.data.augmentation.mixing import MIXING_DRAWS, Mixing
from tfdl.data.augmentation.rand_augment import rand_augment

IMAGE, LABEL = "image", "label"
MIXED_LABEL, SHARE = "mixed_label", "share"
"""The other image's label, and how much of the label is the sample's own, where two images were mixed."""


@dataclass(frozen=True)
class Change:
    """A change of single images."""

    apply: Callable[[Any, Any], Any]
    """uint8 ``(b, h, w, c)`` and draws ``(b, num_draws)`` in [0, 1) to changed images of the same shape."""
    num_draws: int


# In the order in which they are applied.
_CHANGES: dict[str, Change] = {
    "affine": Change(affine, 4),
    "crop": Change(crop, 2),
    "flip": Change(flip, 1),
    "randaugment": Change(rand_augment, 4),
    "erase": Change(erase, 5),
}
_MIXES = ("mixup", "cutmix")


class Augmentation:
    """A choice of changes, applied in one order whatever the order they are named in (``config.dataset``).

    Args:
        names: which.

    Attributes:
        num_draws: uniform numbers that each sample needs in each epoch.
        mixes: whether each sample is mixed with another one.
    """

    def __init__(self, names: Iterable[str]):
        chosen = set(names)
        assert chosen <= {*_CHANGES, *_MIXES}, chosen
        self._changes = [change for name, change in _CHANGES.items() if name in chosen]
        self._mixing = Mixing([name for name in _MIXES if name in chosen])
        self.mixes = bool(chosen & set(_MIXES))
        self.num_draws = sum(change.num_draws for change in self._changes) + (MIXING_DRAWS if self.mixes else 0)

    def __call__(
        self,
        batch: Mapping[str, Any],
        draws: Any,
        other: Mapping[str, Any] | None = None,
        other_draws: Any = None,
    ) -> dict[str, Any]:
        """A batch with its images changed.

        Args:
            batch: ``image``, uint8 ``(b, h, w, c)``, and ``label``.
            draws: ``(b, num_draws)`` in [0, 1).
            other: as ``batch``: the sample that each one is mixed with, where ``mixes``.
            other_draws: that sample's own draws, by which it is changed first, as it would be by itself.

        Returns:
            The batch; with ``mixes`` the images are float32 from 0 to 255, and ``mixed_label`` and ``share`` are new.
        """
        image = self._changed(batch[IMAGE], draws)
        if not self.mixes:
            return {**batch, IMAGE: image}
        assert other is not None
        mixed, share = self._mixing(image, self._changed(other[IMAGE], other_draws), draws[:, -MIXING_DRAWS:])
        return {**batch, IMAGE: mixed, MIXED_LABEL: other[LABEL], SHARE: share}

    def _changed(self, images: Any, draws: Any) -> Any:
        start = 0
        for change in self._changes:
            images = change.apply(images, draws[:, start : start + change.num_draws])
            start += change.num_draws
        return images


def mixed_loss(loss: Any, other_loss: Any, share: Any) -> Any:
    """The loss of a mixed image, which is of both labels: ``share`` times the one and the rest times the other."""
    share = tf.cast(share, loss.dtype)
    return share * loss + (1 - share) * other_loss
