r"""Learning-rate schedules.

$\eta_s$ is the learning rate after $s$ steps, with $s$ from ``optimizer.iterations``: $\eta_0$ is the rate of the first
step. Of $S$ steps the first $w$ are the warm-up:

$$\eta_s = \eta \,\min\!\left(1, \frac{s + 1}{w}\right) f(u) \qquad
  u = \frac{S - s}{S - w} \text{, clipped to } [0, 1]$$

where $\eta$ is the peak and $u$ is the fraction of the steps after the warm-up that remain: 1 during the warm-up, and 0
from step $S$ on. No step of the warm-up has the rate 0, and its last step has the peak. From step $S$ on the rate is
constant. Steps are counted in integers, and only fractions of them are float32, so long runs lose no step to rounding.
"""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import tensorflow as tf

from tfdl.errors import UserError


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base class: the formula above with $f = 1$. Subclasses define ``_decay_factor`` and check their arguments."""

    def __init__(self, peak: float, warmup_steps: int):
        self._require(0 < peak < math.inf, "peak", peak, "a positive learning rate")
        self._require_steps("warmup_steps", warmup_steps, at_least=0)
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)

    def __call__(self, step: Any) -> Any:
        """Returns the rate of the next update, after ``step`` updates: float32, of the shape of ``step``."""
        step = tf.cast(step, tf.int64)
        return self.peak * self._warmup_factor(step) * self._decay_factor(step)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}

    def _warmup_factor(self, step: Any) -> Any:
        """The rise of the warm-up, as a fraction of the peak."""
        warmup_steps = max(1, self.warmup_steps)
        return _fraction(tf.minimum(step + 1, warmup_steps), warmup_steps)

    def _decay_factor(self, step: Any) -> Any:
        """$f$, the rate after the warm-up as a fraction of the peak."""
        return tf.ones_like(step, tf.float32)

    def _require(self, is_valid: bool, name: str, value: Any, expected: str) -> None:
        if not is_valid:
            raise UserError(f"{type(self).__name__} {name}={value!r}, expected {expected}")

    def _require_steps(self, name: str, value: Any, at_least: int) -> None:
        is_valid = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= at_least
        self._require(is_valid, name, value, f"a whole number of steps, at least {at_least}")


def _fraction(steps: Any, all_steps: int) -> Any:
    return tf.cast(steps, tf.float32) / tf.cast(all_steps, tf.float32)


@keras.saving.register_keras_serializable(package="tfdl")
class Constant(_Schedule):
    """A warm-up, then the constant peak: $f = 1$ (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, section 2.2).

    Args:
        peak: the highest rate.
        warmup_steps: steps of the warm-up; the last one has the peak.
    """

    def __init__(self, peak: float, warmup_steps: int = 0):
        super().__init__(peak, warmup_steps)


@keras.saving.register_keras_serializable(package="tfdl")
class InverseSquareRoot(_Schedule):
    r"""The Transformer's schedule (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, section 5.3).

    In step $t$, counted from 1:

    $$\eta \sqrt{w}\, \min\!\left(t^{-1/2},\; t\, w^{-3/2}\right), \qquad t = s + 1$$

    It rises for $w$ steps to the peak $\eta$, and then falls with the inverse square root of the step. The paper's peak
    is $d_{model}^{-1/2}\, w^{-1/2}$. The schedule does not depend on the length of the run, and never stops falling.

    Args:
        peak: the highest rate.
        warmup_steps: steps of the warm-up; the last one has the peak. 0 counts as 1.
    """

    def __init__(self, peak: float, warmup_steps: int = 0):
        super().__init__(peak, warmup_steps)

    def _decay_factor(self, step: Any) -> Any:
        warmup_steps = max(1, self.warmup_steps)
        return tf.sqrt(1.0 / _fraction(tf.maximum(step + 1, warmup_steps), warmup_steps))


class _Finite(_Schedule):
    """Base class of schedules that end after ``total_steps``."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int):
        super().__init__(peak, warmup_steps)
        self._require_steps("total_steps", total_steps, at_least=1)
        self._require(warmup_steps <= total_steps, "warmup_steps", warmup_steps, f"at most total_steps={total_steps}")
        self.total_steps = int(total_steps)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "total_steps": self.total_steps}

    def _remaining_fraction(self, step: Any) -> Any:
        """$u$, the fraction of the steps after the warm-up that remain."""
        decay_steps = max(1, self.total_steps - self.warmup_steps)
        return _fraction(tf.clip_by_value(self.total_steps - step, 0, decay_steps), decay_steps)


@keras.saving.register_keras_serializable(package="tfdl")
class Linear(_Finite):
    r"""A warm-up, then a straight line: $f(u) = r + (1 - r)\,u$.

    Args:
        peak: the highest rate.
        total_steps: steps of the run.
        warmup_steps: steps of the warm-up; the last one has the peak.
        final_fraction: $r$, the rate from ``total_steps`` on, as a fraction of the peak.
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0):
        super().__init__(peak, total_steps, warmup_steps)
        self._require(0 <= final_fraction <= 1, "final_fraction", final_fraction, "a number from 0 to 1")
        self.final_fraction = float(final_fraction)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "final_fraction": self.final_fraction}

    def _decay_factor(self, step: Any) -> Any:
        decay = self._decay_curve(self._remaining_fraction(step))
        return self.final_fraction + (1 - self.final_fraction) * decay

    def _decay_curve(self, remaining_fraction: Any) -> Any:
        """The shape of the decay: 1 where all steps remain, 0 where none do."""
        return remaining_fraction


@keras.saving.register_keras_serializable(package="tfdl")
class Cosine(Linear):
    r"""A warm-up, then half a cosine: $f(u) = r + (1 - r)\,\frac{1 - \cos \pi u}{2}$.

    Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.

    Args:
        peak: the highest rate.
        total_steps: steps of the run.
        warmup_steps: steps of the warm-up; the last one has the peak.
        final_fraction: $r$, the rate from ``total_steps`` on, as a fraction of the peak.
    """

    def _decay_curve(self, remaining_fraction: Any) -> Any:
        return _half_cosine(remaining_fraction)


@keras.saving.register_keras_serializable(package="tfdl")
class Step(_Finite):
    r"""A warm-up, then a drop at each milestone (He et al., 2015, https://arxiv.org/abs/1512.03385): $f = \gamma^k$.

    $k$ is the number of milestones $\le s$. A milestone is the number of steps before the first one at the lower rate.

    Args:
        peak: the highest rate.
        total_steps: steps of the run.
        warmup_steps: steps of the warm-up; the last one has the peak.
        milestones: in steps from the start of the run, in ascending order, none above ``total_steps``.
        factor: $\gamma$, the factor of the rate at each milestone, at least 0.
    """

    def __init__(
        self, peak: float, total_steps: int, warmup_steps: int = 0, milestones: Sequence[int] = (), factor: float = 0.1
    ):
        super().__init__(peak, total_steps, warmup_steps)
        self._require(0 <= factor < math.inf, "factor", factor, "a number of at least 0")
        for milestone in milestones:
            self._require_steps("milestone", milestone, at_least=0)
        milestones = list(milestones)
        is_sorted = milestones == sorted(milestones)
        are_within_run = all(milestone <= total_steps for milestone in milestones)
        self._require(
            is_sorted and are_within_run, "milestones", milestones, f"rising steps, up to total_steps={total_steps}"
        )
        self.milestones = tuple(int(milestone) for milestone in milestones)
        self.factor = float(factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "milestones": list(self.milestones), "factor": self.factor}

    def _decay_factor(self, step: Any) -> Any:
        factors = tf.constant([self.factor**k for k in range(len(self.milestones) + 1)], tf.float32)
        is_passed = [tf.cast(step >= milestone, tf.int32) for milestone in self.milestones]
        num_passed = tf.add_n(is_passed) if is_passed else tf.zeros_like(step, tf.int32)
        return tf.gather(factors, num_passed)


@keras.saving.register_keras_serializable(package="tfdl")
class OneCycle(_Finite):
    r"""One rise and one fall, each along half a cosine (Smith, 2018, https://arxiv.org/abs/1803.09820).

    The rate rises from $\eta / 25$ in the first step to $\eta$ in the last step of the warm-up, then falls to
    $\eta / 250{,}000$ in the last step of the run. It equals PyTorch's ``OneCycleLR`` with its defaults and
    ``cycle_momentum=False``.

    Args:
        peak: the highest rate.
        total_steps: steps of the run.
        warmup_steps: steps of the rise. 0 means 30% of ``total_steps``, not rounded to whole steps.
    """

    _START = 1 / 25
    _END = 1 / 25 / 10_000
    _RISE_FRACTION = 0.3

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0):
        super().__init__(peak, total_steps, warmup_steps)

    def _warmup_factor(self, step: Any) -> Any:
        peak_step = self._peak_step()
        if peak_step:
            risen_fraction = tf.clip_by_value(tf.cast(step, tf.float32) / peak_step, 0.0, 1.0)
        else:
            risen_fraction = tf.ones_like(step, tf.float32)
        return self._START + (1 - self._START) * _half_cosine(risen_fraction)

    def _decay_factor(self, step: Any) -> Any:
        peak_step = self._peak_step()
        last_step = self.total_steps - 1
        remaining_steps = tf.cast(tf.maximum(last_step - step, 0), tf.float32)
        if last_step > peak_step:
            remaining_fraction = tf.minimum(remaining_steps / (last_step - peak_step), 1.0)
        else:
            # The rise is the whole run, and the rate falls right after it.
            remaining_fraction = tf.cast(step <= last_step, tf.float32)
        return self._END + (1 - self._END) * _half_cosine(remaining_fraction)

    def _peak_step(self) -> float:
        """The step that has the peak, counted from 0; it may lie between two steps."""
        rise_steps = self.warmup_steps or self._RISE_FRACTION * self.total_steps
        return max(0.0, rise_steps - 1)


def _half_cosine(fraction: Any) -> Any:
    """$(1 - \\cos \\pi x) / 2$ from 0 to 1, as the square of a sine, which is accurate for small values too."""
    return tf.square(tf.sin(math.pi / 2 * fraction))
