r"""How the learning rate $\eta_s$ runs over a training.

$s$ is ``optimizer.iterations``: the steps taken so far, so $\eta_0$ is the first step's rate. Of $S$ steps the first
$w$ warm up:

$$\eta_s = \eta \,\min\!\left(1, \frac{s + 1}{w}\right) f(u) \qquad
  u = \frac{S - s}{S - w} \text{, held between 0 and 1}$$

where $\eta$ is the peak and $u$ the share of the steps after the warm-up that remain: 1 during the warm-up, 0 from step
$S$ on. So no step of the warm-up has the rate 0, its last one has the peak, and from $S$ on the rate stays as it is.
Steps are whole numbers up to the last line, where shares of them become float32: no step is rounded away in long runs.
"""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import tensorflow as tf

from tfdl.errors import UserError


class _Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The rule above, with $f = 1$. Subclasses give ``_share_of_peak``, and check their own arguments."""

    def __init__(self, peak: float, warmup_steps: int):
        self._require(0 < peak < math.inf, "peak", peak, "a positive learning rate")
        self._require_steps("warmup_steps", warmup_steps, at_least=0)
        self.peak, self.warmup_steps = float(peak), int(warmup_steps)

    def __call__(self, step: Any) -> Any:
        """The rate for the next update, after ``step`` of them: float32, of the shape of ``step``."""
        step = tf.cast(step, tf.int64)
        return self.peak * self._rise(step) * self._share_of_peak(step)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}

    def _rise(self, step: Any) -> Any:
        warmup = max(1, self.warmup_steps)
        return _ratio(tf.minimum(step + 1, warmup), warmup)

    def _share_of_peak(self, step: Any) -> Any:
        return tf.ones_like(step, tf.float32)

    def _require(self, holds: bool, name: str, value: Any, expected: str) -> None:
        if not holds:
            raise UserError(f"{type(self).__name__} {name}={value!r}, expected {expected}")

    def _require_steps(self, name: str, value: Any, at_least: int) -> None:
        whole = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= at_least
        self._require(whole, name, value, f"a whole number of steps, at least {at_least}")


def _ratio(steps: Any, of: int) -> Any:
    return tf.cast(steps, tf.float32) / tf.cast(of, tf.float32)


@keras.saving.register_keras_serializable(package="tfdl")
class Constant(_Schedule):
    """Warm-up, then the peak: $f = 1$ (Goyal et al., 2017, https://arxiv.org/abs/1706.02677, section 2.2).

    Args:
        peak: the largest rate.
        warmup_steps: steps until the peak; the last of them has it.
    """

    def __init__(self, peak: float, warmup_steps: int = 0):
        super().__init__(peak, warmup_steps)


@keras.saving.register_keras_serializable(package="tfdl")
class InverseSquareRoot(_Schedule):
    r"""The Transformer's (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, section 5.3), for the $t$-th step:

    $$\eta \sqrt{w}\, \min\!\left(t^{-1/2},\; t\, w^{-3/2}\right), \qquad t = s + 1$$

    It rises for $w$ steps to the peak $\eta$ and then falls with the root of the step. The paper's own peak is
    $d_{model}^{-1/2}\, w^{-1/2}$. It needs no length of the run, and never stops falling.

    Args:
        peak: the largest rate.
        warmup_steps: steps until the peak; the last of them has it. 0 counts as 1.
    """

    def __init__(self, peak: float, warmup_steps: int = 0):
        super().__init__(peak, warmup_steps)

    def _share_of_peak(self, step: Any) -> Any:
        warmup = max(1, self.warmup_steps)
        return tf.sqrt(1.0 / _ratio(tf.maximum(step + 1, warmup), warmup))


class _Finite(_Schedule):
    """A schedule that ends after ``total_steps``."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int):
        super().__init__(peak, warmup_steps)
        self._require_steps("total_steps", total_steps, at_least=1)
        self._require(warmup_steps <= total_steps, "warmup_steps", warmup_steps, f"at most total_steps={total_steps}")
        self.total_steps = int(total_steps)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "total_steps": self.total_steps}

    def _remaining(self, step: Any) -> Any:
        falling = max(1, self.total_steps - self.warmup_steps)
        return _ratio(tf.clip_by_value(self.total_steps - step, 0, falling), falling)


@keras.saving.register_keras_serializable(package="tfdl")
class Linear(_Finite):
    r"""Warm-up, then a straight line: $f(u) = r + (1 - r)\,u$.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak; the last of them has it.
        final_fraction: $r$, the rate from ``total_steps`` on as a share of the peak.
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0, final_fraction: float = 0.0):
        super().__init__(peak, total_steps, warmup_steps)
        self._require(0 <= final_fraction <= 1, "final_fraction", final_fraction, "a number from 0 to 1")
        self.final_fraction = float(final_fraction)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "final_fraction": self.final_fraction}

    def _share_of_peak(self, step: Any) -> Any:
        return self.final_fraction + (1 - self.final_fraction) * self._falling(self._remaining(step))

    def _falling(self, remaining: Any) -> Any:
        return remaining


@keras.saving.register_keras_serializable(package="tfdl")
class Cosine(Linear):
    r"""Warm-up, then half a cosine: $f(u) = r + (1 - r)\,\frac{1 - \cos \pi u}{2}$.

    Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak; the last of them has it.
        final_fraction: $r$, the rate from ``total_steps`` on as a share of the peak.
    """

    def _falling(self, remaining: Any) -> Any:
        return _half_cosine(remaining)


@keras.saving.register_keras_serializable(package="tfdl")
class Step(_Finite):
    r"""Warm-up, then a fall at each milestone (He et al., 2015, https://arxiv.org/abs/1512.03385): $f = \gamma^k$.

    $k$ is the number of milestones $\le s$: a milestone is the number of steps before the first one at the lower rate.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps until the peak; the last of them has it.
        milestones: in steps from the start of the run, none falling, none after ``total_steps``.
        factor: $\gamma$, what the rate is multiplied by at each, from 0.
    """

    def __init__(
        self, peak: float, total_steps: int, warmup_steps: int = 0, milestones: Sequence[int] = (), factor: float = 0.1
    ):
        super().__init__(peak, total_steps, warmup_steps)
        self._require(0 <= factor < math.inf, "factor", factor, "a number of at least 0")
        for milestone in milestones:
            self._require_steps("milestone", milestone, at_least=0)
        inside = list(milestones) == sorted(milestones) and all(milestone <= total_steps for milestone in milestones)
        self._require(inside, "milestones", list(milestones), f"rising steps, up to total_steps={total_steps}")
        self.milestones, self.factor = tuple(map(int, milestones)), float(factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "milestones": list(self.milestones), "factor": self.factor}

    def _share_of_peak(self, step: Any) -> Any:
        rates = tf.constant([self.factor**k for k in range(len(self.milestones) + 1)], tf.float32)
        passed = [tf.cast(step >= milestone, tf.int32) for milestone in self.milestones]
        return tf.gather(rates, tf.add_n(passed) if passed else tf.zeros_like(step, tf.int32))


@keras.saving.register_keras_serializable(package="tfdl")
class OneCycle(_Finite):
    r"""Up and down once, along two half cosines (Smith, 2018, https://arxiv.org/abs/1803.09820).

    From $\eta / 25$ in the first step to $\eta$ in the last one of the warm-up, then down to $\eta / 250{,}000$ in the
    last one of the run. As PyTorch's ``OneCycleLR`` with its defaults and ``cycle_momentum=False``.

    Args:
        peak: the largest rate.
        total_steps: steps of the run.
        warmup_steps: steps on the way up; 0 takes 30% of all, to a fraction of a step.
    """

    _START, _END, _RISING = 1 / 25, 1 / 25 / 10_000, 0.3

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0):
        super().__init__(peak, total_steps, warmup_steps)

    def _rise(self, step: Any) -> Any:
        top = self._top()
        share = tf.clip_by_value(tf.cast(step, tf.float32) / top, 0.0, 1.0) if top else tf.ones_like(step, tf.float32)
        return self._START + (1 - self._START) * _half_cosine(share)

    def _share_of_peak(self, step: Any) -> Any:
        last = self.total_steps - 1
        left = tf.cast(tf.maximum(last - step, 0), tf.float32)
        if last > self._top():
            remaining = tf.minimum(left / (last - self._top()), 1.0)
        else:  # the warm-up is the whole run
            remaining = tf.cast(step <= last, tf.float32)
        return self._END + (1 - self._END) * _half_cosine(remaining)

    def _top(self) -> float:
        """The step with the peak."""
        return max(0.0, (self.warmup_steps or self._RISING * self.total_steps) - 1)


def _half_cosine(share: Any) -> Any:
    """$(1 - \\cos \\pi x) / 2$ from 0 to 1, written so that small values keep their digits."""
    return tf.square(tf.sin(math.pi / 2 * share))
