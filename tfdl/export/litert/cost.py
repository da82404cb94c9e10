"""What a lower precision costs: the task's metric on the test split, and whether the loss is small enough."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tfdl.errors import UserError

MOST_ACCURACY = 0.02
"""The largest loss of accuracy: two points."""
MOST_PERPLEXITY = 0.05
"""The largest increase of perplexity, as a part of it."""

# Of the difference of two numbers of samples that are divided by their number.
_ROUNDING = 1e-9
_METRICS = ("perplexity", "accuracy")


@dataclass(frozen=True)
class Cost:
    """A metric of the test split, in LiteRT, before and after the precision was lowered."""

    metric: str
    before: float
    """In float32."""
    after: float
    num_samples: int
    """How many samples the split has."""

    @property
    def line(self) -> str:
        """The cost in a line."""
        return f"{self.metric} {self.before:.4f} -> {self.after:.4f} on the test split ({self.num_samples:,} samples)"

    @property
    def is_sound(self) -> bool:
        """Whether the loss is within the bound."""
        if not math.isfinite(self.after):
            return False
        if self.metric == "accuracy":
            return self.before - self.after <= MOST_ACCURACY + _ROUNDING
        return self.after <= self.before * (1 + MOST_PERPLEXITY)

    def check(self, precision: str) -> None:
        """Refuses a loss beyond the bound.

        Args:
            precision: of the weights.

        Raises:
            UserError: the loss is too large.
        """
        if self.is_sound:
            return
        bound = "2 points" if self.metric == "accuracy" else "5 %"
        raise UserError(
            f"precision {precision!r} costs too much: {self.line}, expected a loss of at most {bound}; use another"
            " --precision"
        )


def cost_of(before: Mapping[str, float], after: Mapping[str, float], num_samples: int) -> Cost:
    """The cost in the metric that users know of the task: perplexity of a language model, else accuracy.

    Args:
        before: metrics in float32.
        after: metrics in the lower precision.
        num_samples: of the split.

    Raises:
        UserError: a task of the user has neither.
    """
    metric = next((name for name in _METRICS if name in before), None)
    if metric is None:
        raise UserError(
            f"the task's metrics are {', '.join(before)}, expected {' or '.join(_METRICS)} to measure what a lower"
            " precision costs; leave --precision out"
        )
    return Cost(metric, before[metric], after[metric], num_samples)
