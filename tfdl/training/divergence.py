"""A step whose loss or gradients are NaN or infinite: which rank, samples, layer and variables it was."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT
from tfdl.errors import RunError, first_line, mark_agreed
from tfdl.training.layer_outputs import layer_outputs
from tfdl.training.micro_batches import cut
from tfdl.training.rank_finding import OWN_LOSSES, SUM_OF_LOSSES, RankFinding, in_words, listed
from tfdl.training.trainer import Trainer

_SMALLER_STEPS = "train again with a lower --learning-rate, or with clipped gradients (--set optimizer.clip_norm=1)"
_OR_RETURN = ", or with --on-divergence rollback"
_EITHER = f"{_SMALLER_STEPS}; if the data may have NaN or infinite values, remove them"
_BETTER_DATA = "remove or repair it in the data"


class DivergenceError(RunError):
    """Training cannot go on, because of NaN or infinite values. It is raised on every rank.

    Args:
        cause: in one line.
        advice: in one line; a smaller learning rate, unless it would not help.
        is_saveable: whether the weights are finite: those before the step.
        may_be_repeated: whether the training may succeed from an earlier checkpoint.
        findings: of all ranks.
    """

    def __init__(
        self,
        cause: str,
        advice: str = f"{_SMALLER_STEPS}{_OR_RETURN}",
        *,
        is_saveable: bool = True,
        may_be_repeated: bool = True,
        findings: Sequence[RankFinding] = (),
    ):
        super().__init__(cause, advice)  # what another process needs to make it again
        mark_agreed(self)
        self.cause = cause
        self.advice_of_cause = advice
        self.is_saveable = is_saveable
        self.may_be_repeated = may_be_repeated
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return f"{self.cause}; {self.advice_of_cause}"

    def after(self, history: str) -> "DivergenceError":
        """This error of a training that has tried to continue.

        Args:
            history: what it has tried.
        """
        cause = f"{self.cause}; {history}"
        return DivergenceError(cause, _SMALLER_STEPS, is_saveable=self.is_saveable, findings=self.findings)


def divergence(trainer: Trainer, batch: Any, samples: Sequence[int], step: int, unit: str) -> DivergenceError:
    """Finds out why a step cannot be made. Every rank must call it.

    Args:
        trainer: before the step.
        batch: this rank's batch of the step.
        samples: the numbers of its samples in the training split; none if the batch is a stand-in.
        step: the number of the step, from 1.
        unit: what samples are called, such as ``training samples``.

    Returns:
        The same error on every rank.
    """
    world = trainer.world
    try:
        finding = find_cause(trainer, batch, samples)
    except Exception as error:  # the run's end, its checkpoint and its return must not depend on this
        finding = RankFinding(world.rank, list(samples), failure=first_line(error))
    findings = world.all_gather_object(finding)
    # A model may expect NaN, for missing values: such samples have a loss, or the step is not fine without them either.
    are_suspect = any(finding.bad_inputs for finding in findings) and all(map(_explains_losses, findings))
    if not (are_suspect and all(world.all_gather_object(_is_fine_without_them(trainer, batch, samples)))):
        findings = [replace(finding, bad_inputs={}) for finding in findings]
    cause = f"step {step} was not made: {in_words(findings, unit)}"
    if any(finding.bad_inputs for finding in findings):
        return DivergenceError(cause, _BETTER_DATA, may_be_repeated=False, findings=findings)
    return DivergenceError(cause, findings=findings)


def check_finite(name: str, metrics: dict[str, float], step: int, *, is_saveable: bool = False) -> None:
    """Ends a training whose loss is NaN or infinite.

    Args:
        name: of the loss, such as ``validation loss``.
        metrics: with ``loss``, the same on all ranks.
        step: optimizer steps done.
        is_saveable: whether the weights are worth a checkpoint.

    Raises:
        DivergenceError: the loss is NaN or infinite.
    """
    loss = metrics["loss"]
    if not math.isfinite(loss):
        raise DivergenceError(f"the {name} is {loss} at step {step}", _EITHER, is_saveable=is_saveable)


def check_finite_weights(trainer: Trainer, step: int) -> None:
    """Refuses weights that are NaN or infinite, though the gradients were finite.

    Args:
        trainer: has the model. Its ranks have equal weights.
        step: optimizer steps done.

    Raises:
        DivergenceError: some are.
    """
    bad = [variable.path for variable in trainer.model.trainable_variables if not _is_finite(variable.value)]
    if bad:
        raise DivergenceError(f"after step {step} {listed('', bad)} has NaN or infinite values", is_saveable=False)


def find_cause(trainer: Trainer, batch: Any, samples: Sequence[int]) -> RankFinding:
    """Computes this rank's part of a step again, without its reduction and update. Every rank must call it.

    It computes without XLA, and leaves the model as it is.

    Args:
        trainer: before the step.
        batch: the rank's batch of the step.
        samples: the numbers of its samples; a rank without any has a stand-in in the batch.
    """
    before = [np.array(variable) for variable in trainer.restored_variables]
    examined = _examined(trainer, batch)
    for variable, value in zip(trainer.restored_variables, before, strict=True):
        variable.assign(value)
    variables = trainer.model.trainable_variables
    bad_layers = np.flatnonzero(~examined.layers_are_finite).tolist()
    layer = ""
    if bad_layers:
        first_layer = examined.layers[bad_layers[0]]
        layer = f"{first_layer.name} ({type(first_layer).__name__})"
    return RankFinding(
        trainer.world.rank,
        list(samples),
        bad_inputs={name: [samples[row] for row in rows] for name, rows in _bad_inputs(batch, len(samples)).items()},
        bad_losses=[samples[row] for row in _rows_of(~examined.losses_are_finite, len(samples))],
        bad_sums=[name for name, is_finite in examined.sums_are_finite.items() if not is_finite],
        layer=layer,
        layer_number=bad_layers[0] if bad_layers else -1,
        variables=[variables[index].path for index in np.flatnonzero(~examined.gradients_are_finite)],
    )


@dataclass(frozen=True)
class _Examined:
    """A rank's part of a step, computed again."""

    losses_are_finite: np.ndarray
    """Of each sample."""
    sums_are_finite: dict[str, bool]
    gradients_are_finite: np.ndarray
    """Of each trained variable."""
    layers_are_finite: np.ndarray
    """Of each output of a layer."""
    layers: list[Any]
    """Whose outputs they are."""

    @property
    def is_fine(self) -> bool:
        """Whether all losses and gradients are finite."""
        return bool(
            self.losses_are_finite.all() and self.gradients_are_finite.all() and all(self.sums_are_finite.values())
        )


def _examined(trainer: Trainer, batch: Any) -> _Examined:
    """Computes losses and gradients of a batch, piece by piece as a step does."""
    layers: list[Any] = []
    variables = trainer.model.trainable_variables

    @tf.function(autograph=False, reduce_retracing=True)
    def examine(rows: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as tape, layer_outputs(trainer.model) as returned:
            forward = trainer.forward(rows)
        layers[:] = returned.layers
        gradients = tape.gradient(forward.objective, variables)
        are_finite = [tf.constant(True) if gradient is None else _is_finite(gradient) for gradient in gradients]
        own_losses = [_is_finite(loss) for loss in trainer.model.losses]
        return (
            tf.math.is_finite(forward.losses),
            tf.math.is_finite(forward.objective),
            tf.reduce_all(own_losses or [True]),
            tf.stack(are_finite or [True]),
            tf.stack(returned.are_finite() or [True]),
        )

    pieces = [[np.asarray(part) for part in examine(rows)] for rows in _pieces(trainer, batch)]
    losses, objectives, own_losses, gradients, outputs = zip(*pieces, strict=True)
    return _Examined(
        losses_are_finite=np.concatenate(losses),
        sums_are_finite={OWN_LOSSES: all(own_losses), SUM_OF_LOSSES: all(objectives)},
        gradients_are_finite=np.all(gradients, axis=0)[: len(variables)],
        layers_are_finite=np.all(outputs, axis=0),
        layers=layers,
    )


def _explains_losses(finding: RankFinding) -> bool:
    """Whether all samples whose features are NaN or infinite have such a loss."""
    samples = {sample for numbers in finding.bad_inputs.values() for sample in numbers}
    return samples <= set(finding.bad_losses)


def _is_fine_without_them(trainer: Trainer, batch: Any, samples: Sequence[int]) -> bool:
    """Whether this rank's part of the step is fine without the samples whose features are NaN or infinite.

    Every rank must call it, because a forward pass may have collectives.
    """
    bad_rows = {row for rows in _bad_inputs(batch, len(samples)).values() for row in rows}
    good_rows = [row for row in range(len(batch[WEIGHT])) if row not in bad_rows]
    if trainer.carried.names:
        return True  # its rows cannot be left out, and its features are whole numbers
    # A rank without a good row takes part with its first one, and has no say.
    rest = {name: tf.gather(values, good_rows or [0]) for name, values in batch.items()}
    before = [np.array(variable) for variable in trainer.restored_variables]
    try:
        is_fine = _examined(trainer, rest).is_fine
    except Exception:  # as above
        is_fine = True
    for variable, value in zip(trainer.restored_variables, before, strict=True):
        variable.assign(value)
    return is_fine or not good_rows


def _pieces(trainer: Trainer, batch: Any) -> list[dict[str, Any]]:
    """The pieces that a step computes one after the other."""
    joined = trainer.carried.joined(batch)
    if trainer.accumulation_steps == 1:
        return [joined]
    filled, bounds = cut(joined, trainer.accumulation_steps)
    return [{name: value[begin:end] for name, value in filled.items()} for begin, end in pairwise(bounds)]


def _is_finite(values: Any) -> Any:
    return tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(values)))


def _bad_inputs(batch: Any, num_samples: int) -> dict[str, list[int]]:
    """Feature -> the rows in which it has NaN or infinite values; without the stand-in of a rank without samples."""
    bad = {}
    for name, values in batch.items():
        if name == WEIGHT or not values.dtype.is_floating:
            continue
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        is_bad = ~np.isfinite(flat).all(axis=1)
        rows = _rows_of(np.asarray(is_bad), num_samples)
        if rows:
            bad[name] = rows
    return bad


def _rows_of(is_chosen: np.ndarray, num_samples: int) -> list[int]:
    """The numbers of the chosen rows that are samples."""
    rows: list[int] = np.flatnonzero(is_chosen[:num_samples]).tolist()
    return rows
