"""What a rank found in a step whose loss or gradients are NaN or infinite, and what that means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# What a message lists at most; divergence.json has all.
_MOST_LISTED = 5
SUM_OF_LOSSES = "the sum of the losses"
OWN_LOSSES = "a loss of the model itself (add_loss, or a regularizer)"


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
    bad_sums: list[str] = field(default_factory=list)
    """Sums over the batch that are NaN or infinite: ``the sum of the losses``, ``the model's own losses``."""
    failure: str = ""
    """Why the step could not be computed again; empty if it could."""
    variables: list[str] = field(default_factory=list)
    """The variables whose gradient on this rank, before the reduction, is NaN or infinite."""

    @property
    def has_cause(self) -> bool:
        """Whether anything on this rank is NaN or infinite."""
        return bool(self.bad_inputs or self.bad_losses or self.bad_sums or self.layer or self.variables)


def in_words(findings: Sequence[RankFinding], unit: str) -> str:
    """The cause of a divergence, in one line.

    Args:
        findings: of all ranks.
        unit: what samples are called, such as ``training samples``.
    """
    unit = " ".join(unit.split()[:2])  # of "training windows of 35 tokens"
    found = _origins([finding for finding in findings if finding.has_cause])
    failures = [finding.failure for finding in findings if finding.failure]
    if failures:
        return f"its loss or a gradient is NaN or infinite (it could not be computed again: {failures[0]})"
    if not found:
        if len(findings) > 1:
            return "the gradients are finite on every rank, and their sum over the ranks is not"
        return "its loss or a gradient is NaN or infinite, but computed again, all numbers are finite"
    ranks = "" if len(findings) == 1 else f" on {listed('rank', [finding.rank for finding in found])}"
    first = found[0]
    where = f"; the first layer whose output is NaN or infinite is {first.layer}" if first.layer else ""
    if first.bad_inputs:
        name = next(iter(first.bad_inputs))
        samples = [sample for finding in found for sample in finding.bad_inputs.get(name, ())]
        return f"{name!r} of {listed(unit, samples)}{ranks} has NaN or infinite values"
    losses = [sample for finding in found for sample in finding.bad_losses]
    if losses:
        return f"the loss of {listed(unit, losses)}{ranks} is NaN or infinite{where}"
    sums = list(dict.fromkeys(name for finding in found for name in finding.bad_sums))
    variables = list(dict.fromkeys(path for finding in found for path in finding.variables))
    samples = [sample for finding in found for sample in finding.samples]
    batch = f"in a batch of {listed(unit, samples)}{ranks}"
    if sums:
        each = "" if sums[0] == OWN_LOSSES else ", though each sample's loss is finite"
        return f"{sums[0]} is NaN or infinite {batch}{each}{where}"
    if not variables:
        return f"{first.layer} returns NaN or infinite values {batch}, though loss and gradients are finite"
    gradients = f"the gradient of {listed('', variables)} is NaN or infinite {batch}"
    return gradients + where if where else f"{gradients}, though the loss is finite"


def listed(unit: str, members: Sequence[Any]) -> str:
    """Some members, with the unit before them: ``training samples 3, 7 and 2 more``.

    Args:
        unit: what they are, in the plural or singular; empty for names alone.
        members: all of them.
    """
    shown = ", ".join(map(str, members[:_MOST_LISTED]))
    if len(members) > _MOST_LISTED:
        shown += f" and {len(members) - _MOST_LISTED} more"
    if not unit:
        return shown
    singular = unit.removesuffix("s")
    return f"{singular if len(members) == 1 else f'{singular}s'} {shown}"


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
