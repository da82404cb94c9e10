r"""How the learning rate runs over a training.

Each schedule gives the rate of step $s$, counted from 0, out of $S$ steps, with $w$ steps of warm-up before it:

$$\eta_s = \eta\,\frac{s + 1}{w} \quad (s < w) \qquad
  \eta_s = \eta\, f\!\left(\frac{s - w}{S - w}\right) \quad (s \ge w)$$

where $\eta$ is the peak and $f$ the schedule's shape over $[0, 1]$. So no step of the warm-up has the rate 0, its last
one has the peak, and after $S$ steps the rate stays at its last value.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class _Warmed(keras.optimizers.schedules.LearningRateSchedule):
    """The rule above; subclasses give ``_shape``."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0):
        kind = type(self).__name__
        if not peak > 0 or not math.isfinite(peak):
            raise ValueError(f"{kind} peak={peak!r}, expected a positive learning rate")
        if not 0 <= warmup_steps <= total_steps or total_steps < 1:
            raise ValueError(
                f"{kind} warmup_steps={warmup_steps!r} of total_steps={total_steps!r}, expected at least one step"
                " and a warm-up from 0 to as many"
            )
        self.peak, self.total_steps, self.warmup_steps = float(peak), int(total_steps), int(warmup_steps)

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)  # exact up to 16.7 million steps
        rising = (step + 1) / max(1, self.warmup_steps)
        left = max(1, self.total_steps - self.warmup_steps)
        share = tf.clip_by_value((step - self.warmup_steps) / left, 0.0, 1.0)
        return self.peak * tf.where(step < self.warmup_steps, rising, self._shape(share))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}

    def _shape(self, share: Any) -> Any:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="tfdl")
class Constant(_Warmed):
    """Warm-up, then the peak: $f = 1$ (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, section 2.2).

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak.
    """

    def _shape(self, share: Any) -> Any:
        return tf.ones_like(share)


@keras.saving.register_keras_serializable(package="tfdl")
class Linear(_Warmed):
    r"""Warm-up, then a straight line: $f(x) = 1 - (1 - r)\,x$.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak.
        final_fraction: $r$, the last rate as a share of the peak.
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0):
        super().__init__(peak, total_steps, warmup_steps)
        if not 0 <= final_fraction <= 1:
            raise ValueError(f"{type(self).__name__} final_fraction={final_fraction!r}, expected a number from 0 to 1")
        self.final_fraction = float(final_fraction)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "final_fraction": self.final_fraction}

    def _shape(self, share: Any) -> Any:
        return 1 - (1 - self.final_fraction) * share


@keras.saving.register_keras_serializable(package="tfdl")
class Cosine(Linear):
    r"""Warm-up, then half a cosine: $f(x) = r + (1 - r)\,\frac{1 + \cos \pi x}{2}$.

    Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak.
        final_fraction: $r$, the last rate as a share of the peak.
    """

    def _shape(self, share: Any) -> Any:
        return self.final_fraction + (1 - self.final_fraction) * (1 + tf.cos(math.pi * share)) / 2


@keras.saving.register_keras_serializable(package="tfdl")
class Step(_Warmed):
    r"""Warm-up, then a fall at each milestone (He et al., 2015): $f = \text{factor}^{k}$ after $k$ of them.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak.
        milestones: the first step, from 0, of each lower rate.
        factor: what the rate is multiplied by.
    """

    def __init__(
        self, peak: float, total_steps: int, warmup_steps: int = 0, milestones: Sequence[int] = (), factor: float = 0.1
    ):
        super().__init__(peak, total_steps, warmup_steps)
        if not factor >= 0 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"Step milestones={list(milestones)}, factor={factor!r}, expected rising steps and a factor from 0"
            )
        self.milestones, self.factor = tuple(int(step) for step in milestones), float(factor)

    def __call__(self, step: Any) -> Any:
        passed = sum(tf.cast(step >= milestone, tf.float32) for milestone in self.milestones)
        return super().__call__(step) * tf.pow(self.factor, passed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "milestones": list(self.milestones), "factor": self.factor}

    def _shape(self, share: Any) -> Any:
        return tf.ones_like(share)


@keras.saving.register_keras_serializable(package="tfdl")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    r"""The Transformer's (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, section 5.3), from 1-based step $t$:

    $$\eta_t = \eta \sqrt{w}\, \min\!\left(t^{-1/2},\; t\, w^{-3/2}\right)$$

    It rises for $w$ steps to the peak $\eta$ and then falls with the root of the step. The paper's own peak is
    $d_{model}^{-1/2}\, w^{-1/2}$. It needs no length of the run.

    Args:
        peak: the largest rate.
        warmup_steps: steps until the peak; 0 counts as 1.
    """

    def __init__(self, peak: float, warmup_steps: int = 0):
        if not peak > 0 or warmup_steps < 0:
            raise ValueError(
                f"InverseSquareRoot peak={peak!r}, warmup_steps={warmup_steps!r}, expected a positive rate and no"
                " negative number of steps"
            )
        self.peak, self.warmup_steps = float(peak), int(warmup_steps)

    def __call__(self, step: Any) -> Any:
        number = tf.cast(step, tf.float32) + 1
        warmup = float(max(1, self.warmup_steps))
        return self.peak * tf.minimum(tf.sqrt(warmup / number), number / warmup)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable(package="tfdl")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    r"""Up and down once, along half cosines (Smith and Topin, 2018, https://arxiv.org/abs/1708.07120).

    From $\eta / 25$ up to $\eta$ at the end of the warm-up, then down to $\eta / 250{,}000$ with the last step. With no
    warm-up given, it takes the first 30% of the steps.

    Args:
        peak: the largest rate.
        total_steps: steps of the run, at least 2.
        warmup_steps: steps on the way up; 0 takes 30% of all.
    """

    _START, _END, _RISING = 1 / 25, 1 / 25 / 10_000, 0.3

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0):
        if not peak > 0 or total_steps < 2 or not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"OneCycle peak={peak!r}, total_steps={total_steps!r}, warmup_steps={warmup_steps!r}, expected a"
                " positive rate, at least 2 steps, and a warm-up of fewer"
            )
        self.peak, self.total_steps, self.warmup_steps = float(peak), int(total_steps), int(warmup_steps)

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        top = max(1.0, (self.warmup_steps or self._RISING * self.total_steps) - 1)  # the step with the peak
        last = max(top + 1, self.total_steps - 1.0)
        up = self._between(self._START, 1.0, tf.clip_by_value(step / top, 0.0, 1.0))
        down = self._between(1.0, self._END, tf.clip_by_value((step - top) / (last - top), 0.0, 1.0))
        return self.peak * tf.where(step <= top, up, down)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}

    @staticmethod
    def _between(start: float, end: float, share: Any) -> Any:
        return end + (start - end) * (1 + tf.cos(math.pi * share)) / 2


def build_schedule(
    name: str,
    peak: float,
    *,
    total_steps: int,
    warmup_steps: int = 0,
    final_fraction: float = 0.0,
    milestones: Sequence[int] = (),
    factor: float = 0.1,
) -> Any:
    """A schedule by name, or the bare number where it never changes.

    Args:
        name: ``constant``, ``linear``, ``cosine``, ``inverse_sqrt``, ``step`` or ``one_cycle``.
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak.
        final_fraction: for ``linear`` and ``cosine``.
        milestones, factor: for ``step``; milestones in steps.
    """
    if name == "constant":
        return Constant(peak, max(total_steps, warmup_steps), warmup_steps) if warmup_steps else peak
    if name == "inverse_sqrt":
        return InverseSquareRoot(peak, warmup_steps)
    if name == "one_cycle":
        return OneCycle(peak, total_steps, warmup_steps)
    if name == "step":
        return Step(peak, total_steps, warmup_steps, milestones, factor)
    return {"linear": Linear, "cosine": Cosine}[name](peak, total_steps, warmup_steps, final_fraction)
