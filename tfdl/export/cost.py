"""What a lower precision costs: a metric of the task on the test split, and how much worse it may become."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tfdl.errors import UserError

# Of the difference of two numbers of samples that are divided by their number.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Bound:
    """How much worse a metric may become."""

    metric: str
    most: float
    """Of the metric; infinite where only the share counts."""
    share: float
    """Most as a part of the metric in float32. Without it, a metric that is small could become 0."""
    words: str
    is_smaller_better: bool = False

    def allows(self, before: float, after: float) -> bool:
        """Whether a metric is good enough.

        Args:
            before: in float32.
            after: in the lower precision.
        """
        if not math.isfinite(after):
            return False
        worse = after - before if self.is_smaller_better else before - after
        return worse <= min(self.most, self.share * before) + _ROUNDING


# The first metric that a task has decides: language models have an accuracy too.
BOUNDS = (
    Bound("perplexity", math.inf, 0.05, "at most 5% more", is_smaller_better=True),
    # A tenth is the smaller one below a BLEU of 20 and an accuracy of 0.2. Better models keep room for the noise of
    # small splits.
    Bound("bleu", 2.0, 0.1, "at most 2 points and at most a tenth less"),
    Bound("accuracy", 0.02, 0.1, "at most 0.02 and at most a tenth less"),
)


@dataclass(frozen=True)
class Cost:
    """A metric of the test split, computed with the file, before and after its precision was lowered."""

    bound: Bound
    before: float
    """In float32."""
    after: float
    num_samples: int
    """How many samples were measured."""
    split_size: int
    """How many samples the split has."""

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.bound.metric

    @property
    def is_sound(self) -> bool:
        """Whether the loss is within the bound."""
        return self.bound.allows(self.before, self.after)

    def __str__(self) -> str:
        count = f"{self.num_samples:,}"
        if self.num_samples != self.split_size:
            count += f" of {self.split_size:,}"
        return f"{self.metric} {self.before:.4f} -> {self.after:.4f} on the test split ({count} samples)"

    def check(self, precision: str) -> None:
        """Refuses a loss beyond the bound.

        Args:
            precision: of the weights.

        Raises:
            UserError: the loss is too large.
        """
        if not self.is_sound:
            raise UserError(
                f"precision {precision!r} costs too much: {self}, expected {self.bound.words}; nothing was written; use"
                " another --precision, or leave it out"
            )


def cost_of(before: Mapping[str, float], after: Mapping[str, float], num_samples: int, split_size: int) -> Cost:
    """The cost in the metric that users know of the task.

    Args:
        before: metrics in float32.
        after: metrics in the lower precision.
        num_samples: that were measured.
        split_size: samples of the split.

    Raises:
        UserError: a task of the user has none of them.
    """
    for bound in BOUNDS:
        if bound.metric in before:
            return Cost(bound, before[bound.metric], after[bound.metric], num_samples, split_size)
    known = ", ".join(bound.metric for bound in BOUNDS)
    raise UserError(
        f"the task's metrics are {', '.join(before)}, expected one of {known} to measure what a lower precision costs;"
        " leave --precision out"
    )
