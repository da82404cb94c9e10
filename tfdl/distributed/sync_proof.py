"""The proof that the ranks train one model: their states are compared, bit for bit."""

from collections.abc import Callable, Sequence
from typing import Any

from tfdl.distributed.fingerprints import Difference, Fingerprints
from tfdl.distributed.replicated import average_over_ranks, layer_states, local_statistics, replicated_weights
from tfdl.distributed.world import World
from tfdl.errors import RunError, mark_agreed

# Later than the last step of any run.
_NEVER = 2**62


class SyncProof:
    """Compares the ranks' states: after the first step, every ``every`` steps, before results, and at the end.

    Args:
        variables: returns the variables that must be equal, in one order on all ranks. It is called at each comparison,
            since layers and optimizer slots may be built later.
        world: the ranks.
        every: steps between two comparisons; 0 compares at the end only.
        step: steps that are done already.
        local_statistics: moving statistics that each rank keeps for itself: they are averaged before results.
        layer_states: variables that layers change themselves. If only these differ, the error says how to keep them
            equal.
    """

    def __init__(
        self,
        variables: Callable[[], Sequence[Any]],
        world: World,
        every: int,
        step: int = 0,
        local_statistics: Sequence[Any] = (),
        layer_states: Sequence[Any] = (),
    ):
        self._variables = variables
        self._local_statistics = list(local_statistics)
        self._layer_state_names = {variable.path for variable in layer_states}
        self._world = world
        self._every = every
        self._fingerprints: Fingerprints | None = None
        self._due = step + 1 if every and world.size > 1 else _NEVER
        self._last_proven: int | None = None

    @classmethod
    def of_training(
        cls, model: Any, update_variables: Sequence[Any], world: World, every: int, step: int = 0
    ) -> "SyncProof":
        """The proof for a model that tfdl trains.

        Compared are weights, frozen ones too, synchronized moving statistics, what other layers keep beside their
        weights, and what the updates keep: optimizer slots, step count, averaged weights, loss scale. Moving statistics
        that each rank keeps for itself are not compared, and random streams differ on purpose.

        Args:
            model: the model.
            update_variables: the optimizer's variables, and the loss scale's.
            world: the ranks.
            every: steps between two comparisons; 0 compares at the end only.
            step: steps that are done already.
        """
        states = layer_states(model)
        variables = [*replicated_weights(model), *states, *update_variables]
        return cls(lambda: variables, world, every, step, local_statistics(model), states)

    def steps_until_due(self, step: int) -> int:
        """How many steps may follow ``step`` before ``after_steps`` must be called."""
        return self._due - step

    def after_steps(self, step: int) -> None:
        """Compares if a comparison is due.

        Args:
            step: the number of steps that are done, the same on every rank.

        Raises:
            RunError: on every rank; names the step, the lowest rank that differs from rank 0, and the variables.
        """
        if step >= self._due:
            self.compare(step)
            self._due = (step // self._every + 1) * self._every

    def before_results(self, step: int) -> None:
        """For every rank to call before it evaluates or saves, so that results and checkpoints are of one model.

        Args:
            step: the number of steps that are done.

        Raises:
            RunError: as ``after_steps``.
        """
        if self._every:
            self.compare(step)
        average_over_ranks(self._local_statistics, self._world)

    def compare(self, step: int, *, again: bool = False) -> None:
        """Compares now, unless this step is proven already; for every rank to call.

        Args:
            step: the number of steps that are done.
            again: whether to compare also if the step is proven, since callbacks may have changed weights after it.

        Raises:
            RunError: as ``after_steps``.
        """
        if step == self._last_proven and not again:
            return
        difference = self.difference()
        if difference is not None:
            advice = self._advice(difference)
            error = RunError(f"at step {step}, {difference}: the ranks no longer train one model; {advice}")
            mark_agreed(error)
            raise error
        self._last_proven = step

    def difference(self) -> Difference | None:
        """How the ranks' states differ now; ``None`` if they are equal. For every rank to call."""
        if self._world.size == 1:
            return None
        variables = self._variables()
        if self._fingerprints is None or len(self._fingerprints.names) != len(variables):
            self._fingerprints = Fingerprints(variables)
        return self._fingerprints.difference(self._world)

    @property
    def num_variables(self) -> int:
        """How many variables are compared."""
        return len(self._variables())

    def _advice(self, difference: Difference) -> str:
        if self._layer_state_names.issuperset(difference.variables):
            return (
                "a layer changes this variable by the samples of its own rank; average the change over the ranks in the"
                " layer's call (world = tfdl.distributed.current_world(); world.all_reduce(change) / world.size), or"
                " train on 1 rank"
            )
        if not self._every:
            return (
                "do not use what was saved; train again with --sync-check-steps 200 to find the step where they diverge"
            )
        last = "the start" if self._last_proven is None else f"step {self._last_proven}"
        return (
            f"they diverged after {last}; every checkpoint is of equal ranks, and --resume continues from the last one"
        )
