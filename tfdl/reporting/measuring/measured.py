"""What a report knows of a run from its model and its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfdl.reporting.intervals import Interval

MOST_PAIRS = 15
"""Of classes that are confused most often."""


@dataclass(frozen=True)
class Scores:
    """A metric's part of each sample, to compare two models on the same samples."""

    sums: np.ndarray = field(repr=False)
    """``(n,)``: whether a sample is right, or the sum of its losses."""
    weights: np.ndarray = field(repr=False)
    """``(n,)``: 1, or the number of a sample's tokens."""

    @property
    def is_share(self) -> bool:
        """Whether the metric is a share of samples."""
        return self.sums.dtype == bool


@dataclass(frozen=True)
class ClassScores:
    """How well a class is recognized."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ConfusedPair:
    """Samples of one class that were answered with another one."""

    label: str
    prediction: str
    count: int
    share: float
    """Of the samples of the true class."""


@dataclass(frozen=True)
class Mistake:
    """A sample with a wrong answer."""

    number: int
    """Of the sample in its split, from 0."""
    label: str
    prediction: str
    confidence: float
    """The probability of the wrong answer."""
    label_probability: float
    """The probability of the right answer."""
    text: str | None = None
    image: bytes | None = field(default=None, repr=False)
    """A PNG file."""
    image_size: tuple[int, int] = (0, 0)
    """Width and height of the image in the page, in pixels."""


@dataclass(frozen=True)
class Classes:
    """The answers of a classifier."""

    names: tuple[str, ...]
    counts: np.ndarray = field(repr=False)
    """The confusion matrix ``(classes, classes)``: the row is the true class, the column the answer."""
    scores: tuple[ClassScores, ...] = field(repr=False)
    confused: tuple[ConfusedPair, ...] = field(repr=False)
    """The most frequent confusions, most frequent first."""
    mistakes: tuple[Mistake, ...] = field(repr=False)
    """The mistakes with the largest confidence, largest first."""
    num_mistakes: int


@dataclass(frozen=True)
class Sample:
    """A text that the model wrote."""

    given: str
    """The prompt, or the source."""
    expected: str
    """How the text goes on in the data, or the reference."""
    written: str


@dataclass(frozen=True)
class Texts:
    """Texts that a model wrote."""

    kind: str
    """``generated`` or ``translated``."""
    samples: tuple[Sample, ...]
    num_written: int
    num_distinct: int
    num_distinct_expected: int
    """Different texts among those that are expected."""
    note: str = ""
    """How they were made."""


@dataclass(frozen=True)
class Measured:
    """What a run's model does on a split. Everything else is empty if there is a ``problem``."""

    split: str
    checkpoint: str
    """The folder's name."""
    problem: str = ""
    """Why the model could not be measured."""
    note: str = ""
    """What has changed in the data since the run began."""
    weights_sha256: str = ""
    """Of the weights that were measured."""
    num_samples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Of shares of samples."""
    scores: Mapping[str, Scores] = field(default_factory=dict, repr=False)
    training_flops: int | None = None
    """Multiplications and additions of training on one sample, of matrix products and convolutions; None if the model
    cannot be counted."""
    data_key: Any = field(default=None, repr=False)
    """Equal for two runs that were measured on the same samples."""
    token_key: Any = field(default=None, repr=False)
    """Equal for two runs whose tokens are the same, so that losses of tokens can be compared."""
    guess: "Guess | None" = None
    classes: Classes | None = field(default=None, repr=False)
    texts: Texts | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Guess:
    """What answering without looking at the input reaches on the same split."""

    metric: str
    """``accuracy`` or ``perplexity``."""
    value: float
    how: str
    """In words, such as ``answering '3', the largest class``."""
