"""What an augmentation is: a function of images and of numbers that are drawn for each sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ImageChange:
    """A random change of single images."""

    apply: Callable[[Any, Any], Any]
    """``apply(images, draws)`` takes uint8 images ``(b, h, w, c)`` and uniform draws ``(b, num_draws)`` in [0, 1). It
    returns changed images of the same shape and type, and uses TensorFlow operations only."""
    num_draws: int
    """Uniform numbers that each sample needs in each epoch."""


@dataclass(frozen=True)
class ImageMix:
    """A way to mix each image with another one."""

    apply: Callable[[Any, Any, Any], tuple[Any, Any]]
    """``apply(images, partners, draws)`` takes float32 images ``(b, h, w, c)`` from 0 to 255, partners of the same
    shape, and uniform draws ``(b, num_draws)`` in [0, 1). It returns the mixed images, and the share of each mixed
    image that is the sample's own, float32 ``(b,)``."""
    num_draws: int
    """Uniform numbers that each sample needs in each epoch."""
