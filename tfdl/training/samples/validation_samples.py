"""What a tracker shows of a validation, besides its metrics: some samples, and what the model made of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfdl.tasks.task import Rows
from tfdl.training.samples.sample_text import SampleText


@dataclass(frozen=True)
class Picture:
    """A PNG or JPEG file."""

    encoded: bytes
    size: tuple[int, int]
    """Width and height in pixels."""


@dataclass(frozen=True)
class Shown:
    """What is shown of one validation."""

    texts: Sequence[SampleText] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    """Name -> picture."""


class ValidationSamples(ABC):
    """Shows samples of the validation split, the same ones after each validation.

    They are evenly spread over the split, since files are often sorted by class.
    """

    costs_time: bool = False
    """Whether the model must be run again. In a short run, that is not done after each validation."""

    @abstractmethod
    def of(self, rows: Rows) -> Shown:
        """What to show. It changes neither the model nor a stream of random numbers, and needs no other rank.

        Args:
            rows: of the validation; see ``Task.evaluation_rows``.
        """


class NoSamples(ValidationSamples):
    """For tasks of which nothing is known but numbers."""

    def of(self, rows: Rows) -> Shown:  # noqa: ARG002
        return Shown()


def spread_places(count: int, most: int) -> np.ndarray:
    """At most so many of the numbers below ``count``, evenly spread: files are often sorted by class.

    Args:
        count: of the samples.
        most: of the numbers.
    """
    num_places = min(count, most)
    return np.arange(num_places) * count // max(1, num_places)
