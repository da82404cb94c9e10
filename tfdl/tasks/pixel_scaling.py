"""Pixel values as a pretrained model expects them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class PixelScaling:
    r"""Normalization of each channel: $y = (x - \mu) / \sigma$, with $x$ from 0 to 1.

    Without mean and deviation $y = x$.
    """

    mean: tuple[float, ...] = ()
    r"""$\mu$, one for each channel."""
    deviation: tuple[float, ...] = ()
    r"""$\sigma$, one for each channel."""

    def scaled(self, images: Any) -> Any:
        """Float32 images ``(..., channels)`` from 0 to 1 to the model's inputs of the same shape."""
        if not self.mean:
            return images
        return (images - tf.constant(self.mean)) / tf.constant(self.deviation)

    @classmethod
    def from_json(cls, values: Mapping[str, Sequence[float]]) -> "PixelScaling":
        """The inverse of ``dataclasses.asdict``, after a way through JSON."""
        return cls(tuple(values["mean"]), tuple(values["deviation"]))


PLAIN_SCALING = PixelScaling()
"""Pixel values from 0 to 1."""
