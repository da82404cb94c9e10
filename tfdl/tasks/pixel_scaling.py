"""Pixel values as a pretrained model expects them."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.json_files import JsonValues


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
    def from_json(cls, values: JsonValues, channels: int) -> "PixelScaling":
        """The inverse of ``dataclasses.asdict``, after a way through JSON.

        Args:
            values: its content.
            channels: of the images.

        Raises:
            UserError: not a number for each channel.
        """
        mean = values.numbers("mean")
        deviation = values.numbers("deviation")
        for key, numbers in (("mean", mean), ("deviation", deviation)):
            values.require(len(numbers) in (0, channels), key, list(numbers), f"{channels} numbers, or none")
        values.require(len(mean) == len(deviation) and all(deviation), "deviation", list(deviation), "as many as mean")
        return cls(mean, deviation)


PLAIN_SCALING = PixelScaling()
"""Pixel values from 0 to 1."""
