"""Loss scales for number formats in which small gradients vanish, shared by all ranks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.errors import RunError

# Below it float16 gradients vanish anyway.
_SMALLEST_SCALE = 2.0**-14


class LossScale(ABC):
    """How a training step scales its loss, and whether it applies its gradients."""

    variables: Sequence[Any] = ()
    """What belongs to a checkpoint, and must be equal on all ranks."""
    skips_steps: bool
    """Whether a step that was not applied is skipped. Otherwise training ends before it."""

    @abstractmethod
    def scaled(self, loss: Any) -> Any:
        """The loss to differentiate."""

    @abstractmethod
    def marked(self, weight: Any, loss: Any) -> Any:
        """The weight of a rank's samples, as it is sent to all ranks.

        Args:
            weight: scalar, the sum of the samples' weights.
            loss: scalar, the sum of their losses, before it is scaled.
        """

    @abstractmethod
    def snapshot(self, variables: Sequence[Any]) -> list[Any]:
        """The values that a forward pass may change and a skipped step must restore; runs before it, in the graph.

        Args:
            variables: what is not trained: statistics, and where a step is not skipped random streams.
        """

    @abstractmethod
    def update(
        self, gradients: Sequence[Any], apply: Callable[[Sequence[Any]], None], restore: Callable[[], None]
    ) -> Any:
        """Applies a step's gradients, or skips it.

        Args:
            gradients: the reduced gradients of the scaled loss, ``None`` where a variable has none.
            apply: makes the update with gradients of the loss itself.
            restore: undoes what the forward pass changed.

        Returns:
            Scalar boolean: whether the step was applied.
        """

    @abstractmethod
    def counted(self, sums: Any, applied: Any) -> Any:
        """The running sums of a step to report.

        Args:
            sums: sums over the step's samples, ``(n,)``.
            applied: what ``update`` returned.
        """

    @abstractmethod
    def report(self) -> dict[str, float]:
        """Numbers for the log: ``loss_scale`` and ``skipped_steps``, or nothing."""

    @abstractmethod
    def check(self, step: int) -> None:
        """Raises ``RunError`` if scaling can no longer work; ``step`` is the number of steps done."""


class NoLossScale(LossScale):
    """For formats with the range of float32. A step with a loss or gradient that is NaN or infinite ends the training.

    It is not applied on any rank, and leaves statistics and random streams as they were. Which step that is depends on
    the *reduced* gradients, so all ranks end before the same one without a further message. A loss may be infinite
    while its gradients are finite. It marks the weight by which the gradients are divided, and so reaches all ranks.
    """

    skips_steps = False

    def scaled(self, loss: Any) -> Any:
        """The loss itself."""
        return loss

    def marked(self, weight: Any, loss: Any) -> Any:
        """The weight; NaN if the loss is NaN or infinite."""
        return weight + (loss - loss)

    def snapshot(self, variables: Sequence[Any]) -> list[Any]:
        """Their values."""
        return _values(variables)

    def update(
        self, gradients: Sequence[Any], apply: Callable[[Sequence[Any]], None], restore: Callable[[], None]
    ) -> Any:
        """Applies the step if all gradients are finite."""
        return _apply_if(all_finite(gradients), gradients, apply, restore)

    def counted(self, sums: Any, applied: Any) -> Any:
        """The sums of an applied step."""
        return tf.where(applied, sums, tf.zeros_like(sums))

    def report(self) -> dict[str, float]:
        """Nothing to report."""
        return {}

    def check(self, step: int) -> None:
        """Nothing to check."""


class DynamicLossScale(LossScale):
    r"""Keeps small float16 gradients from vanishing (Micikevicius et al., 2018, https://arxiv.org/abs/1710.03740).

    The loss is multiplied by $s$ and the gradients are divided by it. A step whose gradients are not finite is skipped
    and halves $s$; after ``growth_steps`` steps without one, $s$ doubles, up to ``largest``: gradients that are zero
    never overflow, and a scale that grew to infinity would never shrink again.

    It looks at gradients that are *reduced* already: one rank's infinity or NaN has reached every rank through the sum,
    so all ranks skip the same steps and no further message is needed. A rank that looked at its own gradients would
    leave the others waiting in the reduction, or continue with other weights than they have.

    Args:
        initial: the first $s$.
        growth_steps: good steps before $s$ doubles.
        largest: what $s$ does not grow past. 2**24 lifts the smallest number that float16 can hold to 1.
    """

    skips_steps = True

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000, largest: float = 2.0**24):
        self.growth_steps = growth_steps
        self.largest = largest
        self.scale = keras.Variable(initial, dtype="float32", trainable=False, name="loss_scale")
        self.good_steps = keras.Variable(0, dtype="int32", trainable=False, name="loss_scale_good_steps")
        self.skipped_steps = keras.Variable(0, dtype="int32", trainable=False, name="loss_scale_skipped_steps")
        self.variables = [self.scale, self.good_steps, self.skipped_steps]

    def scaled(self, loss: Any) -> Any:
        """``loss`` times the scale."""
        return loss * tf.cast(self.scale, loss.dtype)

    def marked(self, weight: Any, loss: Any) -> Any:  # noqa: ARG002
        """The weight itself: the step is skipped if the gradients overflow, whatever the loss is."""
        return weight

    def unscaled(self, gradients: Sequence[Any]) -> list[Any]:
        """Gradients of the loss itself."""
        return [None if gradient is None else gradient / tf.cast(self.scale, gradient.dtype) for gradient in gradients]

    def snapshot(self, variables: Sequence[Any]) -> list[Any]:
        """Their values."""
        return _values(variables)

    def update(
        self, gradients: Sequence[Any], apply: Callable[[Sequence[Any]], None], restore: Callable[[], None]
    ) -> Any:
        """Applies the step if all gradients are finite."""
        gradients = self.unscaled(gradients)
        finite = _apply_if(all_finite(gradients), gradients, apply, restore)
        self.adjust(finite)
        return finite

    def adjust(self, finite: Any) -> None:
        """Grows or shrinks the scale after a step.

        Args:
            finite: whether all of its reduced gradients were finite.
        """
        has_grown = tf.logical_and(finite, tf.equal(self.good_steps + 1, self.growth_steps))
        doubled = tf.maximum(self.scale, tf.minimum(self.scale * 2.0, self.largest))
        self.scale.assign(tf.where(finite, tf.where(has_grown, doubled, self.scale), self.scale * 0.5))
        starts_anew = tf.logical_or(has_grown, tf.logical_not(finite))
        self.good_steps.assign(tf.where(starts_anew, 0, self.good_steps + 1))
        self.skipped_steps.assign_add(tf.cast(tf.logical_not(finite), tf.int32))

    def counted(self, sums: Any, applied: Any) -> Any:
        """All sums but those of a skipped step that are not finite, which would spoil the epoch's."""
        counts = tf.logical_or(applied, tf.reduce_all(tf.math.is_finite(sums)))
        return tf.where(counts, sums, tf.zeros_like(sums))

    def report(self) -> dict[str, float]:
        """The scale, and how many steps were skipped."""
        return {"loss_scale": float(self.scale), "skipped_steps": int(self.skipped_steps)}

    def check(self, step: int) -> None:
        """A skipped step is no error; a scale so small that its gradients would vanish is.

        Raises:
            RunError: the scale is that small.
        """
        scale = float(self.scale)
        if scale < _SMALLEST_SCALE:
            skipped = int(self.skipped_steps)
            raise RunError(
                f"the gradients were not finite at any loss scale down to {scale:g} ({skipped} of {step} steps"
                " skipped); train with --precision mixed_bfloat16 or float32"
            )


def all_finite(gradients: Sequence[Any]) -> Any:
    """Scalar boolean: whether no gradient holds an infinity or a NaN.

    A sum is finite only if all of its values are. It takes one pass and no other memory. The sum of finite values is
    infinite only if they are so large that no optimizer could use them.

    Args:
        gradients: tensors; ``None`` where a variable has none.
    """
    sums: dict[Any, list[Any]] = {}
    for gradient in gradients:
        if gradient is not None:
            sums.setdefault(gradient.dtype, []).append(tf.reduce_sum(gradient))
    totals = [tf.math.is_finite(tf.add_n(of_dtype)) for of_dtype in sums.values()]
    return tf.reduce_all(totals) if totals else tf.constant(True)


def _values(variables: Sequence[Any]) -> list[Any]:
    return [tf.convert_to_tensor(variable) for variable in variables]


def _apply_if(
    finite: Any, gradients: Sequence[Any], apply: Callable[[Sequence[Any]], None], restore: Callable[[], None]
) -> Any:
    """Applies a step's gradients if they are finite, else restores what the forward pass changed.

    Returns:
        ``finite``.
    """

    def take_step() -> Any:
        apply(gradients)
        return tf.constant(True)

    def skip_step() -> Any:
        restore()
        return tf.constant(False)

    tf.cond(finite, take_step, skip_step)
    return finite
