"""Watches over a training that its ranks stay one model."""

from collections.abc import Sequence
from typing import Any

from tfdl.distributed.fingerprints import Fingerprints, drifted
from tfdl.distributed.replicated import average_over_ranks, local_statistics, replicated_weights
from tfdl.distributed.world import World

# Further than any run goes.
_NEVER = 2**62


class SyncProof:
    """Compares the ranks' state, to the bit: after the first step, every ``every`` steps, before results, at the end.

    Compared are weights, frozen ones too, synchronized moving statistics, and what the updates keep: optimizer slots,
    step count, averaged weights, loss scale. Moving statistics that each rank keeps for itself are not compared; they
    are averaged before results. Random streams differ on purpose.

    Args:
        model: the model that is trained.
        update_variables: the optimizer's variables, and the loss scale's.
        world: the ranks.
        every: steps between two comparisons; 0 compares at the end alone.
        step: steps that are done.
    """

    def __init__(self, model: Any, update_variables: Sequence[Any], world: World, every: int, step: int = 0):
        self._world, self._every = world, every
        self._fingerprints = Fingerprints([*replicated_weights(model), *update_variables])
        self._local = local_statistics(model)
        self._due = step + 1 if every and world.size > 1 else _NEVER
        self._proven: int | None = None

    def steps_until_due(self, step: int) -> int:
        """How many steps may follow ``step`` before ``after_steps`` must be called."""
        return self._due - step

    def after_steps(self, step: int) -> None:
        """Compares when it is due.

        Raises:
            RunError: on every rank; names the step, the lowest rank that differs from rank 0, and the variables.
        """
        if step >= self._due:
            self._compare(step)
            self._due = (step // self._every + 1) * self._every

    def before_results(self, step: int) -> None:
        """For every rank to call before it evaluates or saves: what is measured and kept is of one model.

        Raises:
            RunError: as ``after_steps``.
        """
        if self._every:
            self._compare(step)
        average_over_ranks(self._local, self._world)

    def at_end(self, step: int) -> None:
        """The last comparison, which takes place whatever ``every`` is.

        Raises:
            RunError: as ``after_steps``.
        """
        self._compare(step)

    def _compare(self, step: int) -> None:
        if step == self._proven:
            return
        found = self._fingerprints.difference(self._world)
        if found is None:
            self._proven = step
            return
        raise drifted(f"at step {step}, {found}: the ranks no longer train one model; {self._advice()}")

    def _advice(self) -> str:
        if not self._every:
            return "what was saved must not be used; train again with --sync-check-steps 200 to learn when they part"
        last = "the start" if self._proven is None else f"step {self._proven}"
        return f"they parted after {last}; every checkpoint is of equal ranks, and --resume goes on from the last"
