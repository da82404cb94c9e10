"""A step whose loss or gradients are NaN or infinite: which rank, samples, layer and variables it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.pipeline import WEIGHT
from tfdl.errors import RunError, mark_agreed
from tfdl.training.layer_outputs import layer_outputs
from tfdl.training.micro_batches import cut
from tfdl.training.trainer import Trainer

# What a message lists at most; divergence.json has all.
_MOST_LISTED = 5
_SMALLER_STEPS = (
    "train again with a lower --learning-rate, or with clipped gradients (--set optimizer.clip_norm=1), or with"
    " --on-divergence rollback"
)
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
        advice: str = _SMALLER_STEPS,
        *,
        is_saveable: bool = True,
        may_be_repeated: bool = True,
        findings: Sequence["RankFinding"] = (),
    ):
        super().__init__(f"{cause}; {advice}")
        mark_agreed(self)
        self.cause = cause
        self.is_saveable = is_saveable
        self.may_be_repeated = may_be_repeated
        self.findings = tuple(findings)

    def after(self, history: str) -> "DivergenceError":
        """This error of a training that has tried to continue.

        Args:
            history: what it has tried.
        """
        return DivergenceError(f"{self.cause}; {history}", is_saveable=self.is_saveable, findings=self.findings)


@dataclass(frozen=True)
class RankFinding:
    """What one rank found in its part of the batch."""

    rank: int
    samples: list[int]
    """The numbers of its samples in the training split."""
    bad_inputs: dict[str, list[int]] = field(default_factory=dict)
    """Feature -> the numbers of the samples in which it has NaN or infinite values."""
    bad_losses: list[int] = field(default_factory=list)
    """The numbers of the samples whose loss is NaN or infinite."""
    layer: str = ""
    """The first layer whose output is NaN or infinite; empty if there is none."""
    layer_number: int = -1
    """Its place among the layers' outputs, the same on all ranks; -1 if there is none."""
    variables: list[str] = field(default_factory=list)
    """The variables whose gradient on this rank, before the reduction, is NaN or infinite."""

    @property
    def has_cause(self) -> bool:
        """Whether anything on this rank is NaN or infinite."""
        return bool(self.bad_inputs or self.bad_losses or self.layer or self.variables)


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
    findings = trainer.world.all_gather_object(find_cause(trainer, batch, samples))
    cause = f"step {step} was not made: {in_words(findings, unit)}"
    if any(finding.bad_inputs for finding in findings):
        return DivergenceError(cause, _BETTER_DATA, may_be_repeated=False, findings=findings)
    return DivergenceError(cause, findings=findings)


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
        raise DivergenceError(f"after step {step} {_listed('', bad)} has NaN or infinite values", is_saveable=False)


def find_cause(trainer: Trainer, batch: Any, samples: Sequence[int]) -> RankFinding:
    """Computes this rank's part of a step again, without its reduction and update. Every rank must call it.

    It computes without XLA, and leaves the model as it is.

    Args:
        trainer: before the step.
        batch: the rank's batch of the step.
        samples: the numbers of its samples; a rank without any has a stand-in in the batch.
    """
    variables = trainer.model.trainable_variables
    layers: list[Any] = []

    @tf.function(autograph=False, reduce_retracing=True)
    def examine(rows: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape, layer_outputs(trainer.model) as returned:
            forward = trainer.forward(rows)
        layers[:] = returned.layers
        gradients = tape.gradient(forward.objective, variables)
        are_finite = [tf.constant(True) if gradient is None else _is_finite(gradient) for gradient in gradients]
        return tf.math.is_finite(forward.losses), tf.stack(are_finite), tf.stack(returned.are_finite() or [True])

    before = [np.array(variable) for variable in trainer.restored_variables]
    found = [[np.asarray(part) for part in examine(rows)] for rows in _pieces(trainer, batch)]
    for variable, value in zip(trainer.restored_variables, before, strict=True):
        variable.assign(value)
    losses_are_finite = np.concatenate([losses for losses, _, _ in found])
    gradients_are_finite = np.all([gradients for _, gradients, _ in found], axis=0)
    layers_are_finite = np.all([outputs for _, _, outputs in found], axis=0)
    bad_layers = np.flatnonzero(~layers_are_finite).tolist()
    layer = ""
    if bad_layers:
        first_layer = layers[bad_layers[0]]
        layer = f"{first_layer.name} ({type(first_layer).__name__})"
    return RankFinding(
        trainer.world.rank,
        list(samples),
        bad_inputs=_bad_inputs(batch, samples),
        bad_losses=[sample for sample, is_finite in zip(samples, losses_are_finite, strict=False) if not is_finite],
        layer=layer,
        layer_number=bad_layers[0] if bad_layers else -1,
        variables=[variables[index].path for index in np.flatnonzero(~gradients_are_finite)],
    )


def in_words(findings: Sequence[RankFinding], unit: str) -> str:
    """The cause of a divergence, in one line.

    Args:
        findings: of all ranks.
        unit: what samples are called, such as ``training samples``.
    """
    unit = " ".join(unit.split()[:2])  # of "training windows of 35 tokens"
    found = _origins([finding for finding in findings if finding.has_cause])
    if not found:
        if len(findings) > 1:
            return "the gradients are finite on every rank, and their sum over the ranks is not"
        return "computed again, all its numbers are finite"
    ranks = "" if len(findings) == 1 else f" on {_listed('rank', [finding.rank for finding in found])}"
    first = found[0]
    where = f"; the first layer whose output is NaN or infinite is {first.layer}" if first.layer else ""
    if first.bad_inputs:
        name = next(iter(first.bad_inputs))
        samples = [sample for finding in found for sample in finding.bad_inputs.get(name, ())]
        return f"{name!r} of {_listed(unit, samples)}{ranks} has NaN or infinite values"
    losses = [sample for finding in found for sample in finding.bad_losses]
    if losses:
        return f"the loss of {_listed(unit, losses)}{ranks} is NaN or infinite{where}"
    variables = list(dict.fromkeys(path for finding in found for path in finding.variables))
    samples = [sample for finding in found for sample in finding.samples]
    batch = f"in a batch of {_listed(unit, samples)}{ranks}"
    if not variables:
        return f"{first.layer} returns NaN or infinite values {batch}, though loss and gradients are finite"
    gradients = f"the gradient of {_listed('', variables)} is NaN or infinite {batch}"
    return gradients + where if where else f"{gradients}, though the loss is finite"


def _origins(found: list[RankFinding]) -> list[RankFinding]:
    """The ranks from which the others may have it: synchronized statistics carry NaN to all ranks, both ways."""
    with_inputs = [finding for finding in found if finding.bad_inputs]
    if with_inputs:
        return with_inputs
    with_layers = [finding for finding in found if finding.layer]
    if with_layers:
        first = min(finding.layer_number for finding in with_layers)
        return [finding for finding in with_layers if finding.layer_number == first]
    with_losses = [finding for finding in found if finding.bad_losses]
    if with_losses:
        return with_losses
    return [one for one in found if not any(set(one.variables) < set(other.variables) for other in found)]


def _pieces(trainer: Trainer, batch: Any) -> list[dict[str, Any]]:
    """The pieces that a step computes one after the other."""
    joined = trainer.carried.joined(batch)
    if trainer.accumulation_steps == 1:
        return [joined]
    filled, bounds = cut(joined, trainer.accumulation_steps)
    return [{name: value[begin:end] for name, value in filled.items()} for begin, end in pairwise(bounds)]


def _is_finite(values: Any) -> Any:
    return tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(values)))


def _bad_inputs(batch: Any, samples: Sequence[int]) -> dict[str, list[int]]:
    """Feature -> the samples in which it has NaN or infinite values."""
    bad = {}
    for name, values in batch.items():
        if name == WEIGHT or not values.dtype.is_floating:
            continue
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        rows = np.flatnonzero(~np.isfinite(flat).all(axis=1))
        numbers = [samples[row] for row in rows.tolist() if row < len(samples)]
        if numbers:
            bad[name] = numbers
    return bad


def _listed(unit: str, members: Sequence[Any]) -> str:
    """Some members, with the unit before them: ``training samples 3, 7 and 2 more``."""
    shown = ", ".join(map(str, members[:_MOST_LISTED]))
    if len(members) > _MOST_LISTED:
        shown += f" and {len(members) - _MOST_LISTED} more"
    if not unit:
        return shown
    singular = unit.removesuffix("s")
    return f"{singular if len(members) == 1 else f'{singular}s'} {shown}"
