"""Training with ranks that may die and join: commits, and a new session on the ranks that there are."""

import contextlib
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from tfdl.distributed.elastic import ElasticRanks
from tfdl.distributed.state import broadcast_state, fold_rank_into_seeds, seed_generators
from tfdl.errors import RunError, UserError
from tfdl.runs import Progress, RunDirectory
from tfdl.training.callbacks import Callback, RunPlan
from tfdl.training.fit import FitPlan, Keeper
from tfdl.training.output import Output
from tfdl.training.session import Session

COMMIT_STEPS = 100


@dataclass(frozen=True)
class Commit:
    """All that training goes on from, in this process's memory."""

    variables: list[np.ndarray]
    """Weights, statistics, random streams, the optimizer's state, the loss scale: the trainer's order."""
    carried: Any
    """What a recurrent model goes on from within an epoch, all ranks' rows."""
    progress: Progress
    rank: int
    """Whose random streams they are."""
    ranks: int
    time: float


@dataclass
class Kept:
    """What a process takes along from session to session."""

    place: Output | None = None
    commit: Commit | None = None
    opened: Any = None
    """The task and its data."""
    reached: int = 0
    """The step that training had come to; what lies after the commit is lost."""

    def note(self, code: int | None, reason: str) -> None:
        """Says in ``status.json`` how the run is while it has no ranks: any rank may be the only one left to do so."""
        if self.place is not None and self.commit is not None:
            with contextlib.suppress(OSError):
                self.place.run.write_status(code, reason)


@dataclass(frozen=True)
class Offer:
    """What a rank has to say when the ranks meet: whose state shall be everybody's?"""

    place: bool
    step: int
    """Of its commit; -1 for none."""
    ranks: int = 0
    reached: int = 0


class RanksChanged(Exception):  # noqa: N818  (no error: the ranks agreed to meet anew)
    """Everything is committed, and other ranks are to be met."""


def train_elastic(
    claim: Callable[[], Output], callbacks: Sequence[Callback], commit_steps: int | None, begin: float
) -> RunDirectory:
    """As ``tfdl.training.train``, on ranks that may die and join.

    Args:
        claim: says where the run goes; called on the chief of a new run.
        callbacks: as for ``train``; they start and close anew with every change of the ranks.
        commit_steps: steps between two commits; none is ``COMMIT_STEPS``.
        begin: when the run began.

    Raises:
        UserError: the launcher is not an elastic one.
        RunError: this rank's host was taken off the list. Otherwise as ``train``; a lost rank is no error as long as
            others are left.
    """
    every = COMMIT_STEPS if commit_steps is None else commit_steps
    if every < 1:
        raise UserError(f"--commit-steps={every}, expected at least 1")
    ranks = ElasticRanks()
    kept = Kept()
    while True:
        session: ElasticSession | None = None
        try:
            session = _meet(ranks, kept, claim, every, begin)
            session.prepare()
            session.run(callbacks)
            ranks.close()
            return session.run_directory
        except RanksChanged:
            found = "the launcher has new ranks"
        except Exception as error:
            if not ranks.is_lost(error):
                if session is not None:
                    session.leave(error)
                raise
            found = "a rank was lost"
        kept.reached = max(kept.reached, session.step if session is not None else 0)
        kept.note(None, f"{found} at step {kept.reached}; waiting until there are --min-np ranks again")
        # The old graphs hold the old ranks; names begin anew, so that the new model's variables are called the same.
        del session
        keras.utils.clear_session()
        ranks.rejoin()


def _meet(ranks: ElasticRanks, kept: Kept, claim: Callable[[], Output], every: int, begin: float) -> "ElasticSession":
    """The ranks learn who has what; a new run is claimed, one that has begun is told to those that have joined."""
    world = ranks.world
    commit = kept.commit
    mine = Offer(kept.place is not None, -1)
    if commit is not None:
        mine = Offer(True, commit.progress.step, commit.ranks, kept.reached)
    offers = world.all_gather_object(mine)
    root = max(range(world.size), key=lambda rank: (offers[rank].step, offers[rank].place, -rank))
    with world.agreement():
        if world.rank == root:
            kept.place = kept.place or claim()
    kept.place = world.broadcast_object(kept.place, root)
    return ElasticSession(ranks, kept, offers[root], root, every, begin if commit is None else commit.time)


class ElasticSession(Session, Keeper):
    """A run from one change of the ranks to the next."""

    def __init__(self, ranks: ElasticRanks, kept: Kept, offer: Offer, root: int, every: int, begin: float):
        assert kept.place is not None
        super().__init__(kept.place, ranks.world, begin)
        self._ranks, self._kept, self._offer, self._root, self._every = ranks, kept, offer, root, every
        self._opened = kept.opened

    @property
    def step(self) -> int:
        """Steps done."""
        return self._progress.step

    def wish(self) -> bool:
        return self._ranks.hosts_changed

    def after_steps(self, wishes: float) -> None:
        if wishes or self._progress.step - self._committed_step >= self._every:
            self._commit()
        if wishes:
            raise RanksChanged

    def after_epoch(self, wishes: float) -> None:
        self._commit()
        if wishes:
            raise RanksChanged

    def _restore(self) -> None:
        """The state of the last commit that any rank has; without one, of a new run or of a checkpoint."""
        world, kept = self._world, self._kept
        kept.opened = self._opened
        if self._offer.step < 0:
            super()._restore()
            # Claimed and made: it is this run's, if a rank is lost before the first commit.
            kept.place = replace(self.place, run=self.run_directory, is_named_by_us=False)
        else:
            with world.agreement():
                if world.is_chief:
                    self._take_over()
            if world.rank == self._root:
                assert kept.commit is not None
                self._progress = copy.deepcopy(kept.commit.progress)
                for variable, value in zip(self._trainer.variables, kept.commit.variables, strict=True):
                    variable.assign(value)
                fold_rank_into_seeds(seed_generators(self._model), -kept.commit.rank)
            rows = kept.commit.carried if kept.commit is not None else None
            self._progress, rows = world.broadcast_object((self._progress, rows), self._root)
            self._restore_carried(rows)
            broadcast_state(self._trainer.variables, world, self._root)
            fold_rank_into_seeds(seed_generators(self._model), world.rank)
        self._commit()

    def _take_over(self) -> None:
        if not self.run_directory.has_run():
            raise RunError(
                f"the run directory {str(self.run_directory.path)!r} is not on this host, which has become the first"
                " one; an elastic run needs one on storage that all hosts share"
            )
        self._written = True
        self.run_directory.write_status(None, f"running; {self._membership}")

    def _commit(self) -> None:
        """Copies everything to this process's memory: about as long as reading the variables takes."""
        progress, now = self._progress, time.time()
        progress.wall_seconds += now - self._begin
        self._begin = now
        values, carried = [np.array(variable) for variable in self._trainer.variables], self._gathered_carried()
        self._kept.commit = Commit(values, carried, copy.deepcopy(progress), self._world.rank, self._world.size, now)
        self._committed_step = self._kept.reached = progress.step

    @property
    def _membership(self) -> str:
        offer, size = self._offer, self._world.size
        if offer.step < 0:
            return ""
        lost = offer.reached - offer.step
        again = f"; {lost} steps after it are done again" if lost else ""
        return f"{size} {'rank' if size == 1 else 'ranks'} now, {offer.ranks} before: from step {offer.step} on{again}"

    def _plan(self) -> RunPlan:
        return replace(super()._plan(), membership=self._membership)

    def _fit_plan(self) -> FitPlan:
        plan = super()._fit_plan()
        return replace(plan, steps_per_execution=min(plan.steps_per_execution, self._every))

    @property
    def _keeper(self) -> Keeper:
        return self
