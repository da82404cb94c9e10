"""Training with ranks that may die and join: commits to memory, and a new session after each change of the ranks."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.elastic import ElasticRanks
from tfdl.errors import UserError
from tfdl.runs import RunDirectory
from tfdl.training.callbacks import Callback
from tfdl.training.membership import Membership
from tfdl.training.opening import Opened
from tfdl.training.output import Output
from tfdl.training.python_parts import PythonParts
from tfdl.training.run_parts import RunParts
from tfdl.training.run_record import RunRecord
from tfdl.training.session import Session
from tfdl.training.starting_point import NewOrCheckpoint, StartingPoint
from tfdl.training.training_state import Commit, TrainingState

COMMIT_STEPS = 100


@dataclass
class Memory:
    """What a process keeps from session to session."""

    output: Output | None = None
    opened: Opened | None = None
    commit: Commit | None = None
    committed_ranks: int = 0
    """The number of ranks at the last commit."""
    reached_step: int = 0
    """The step that training had reached; what lies after the commit is lost."""

    def note(self, reason: str) -> None:
        """Records in ``status.json`` how the run is while it has no ranks: any rank may be the only one left to do
        so."""
        if self.output is not None and self.commit is not None:
            with contextlib.suppress(OSError):
                self.output.run.write_status(None, reason)


@dataclass(frozen=True)
class Offer:
    """What a rank can contribute when the ranks meet: one of them gives its state to all."""

    has_output: bool
    step: int = -1
    """Of its commit; -1 for none."""
    ranks: int = 0
    """The number of ranks at its commit."""
    reached_step: int = 0


class RanksChanged(Exception):  # noqa: N818  (no error: the ranks agreed to meet again)
    """Everything is committed, and the ranks meet again."""


def train_elastic(
    resolve: Callable[[], TrainConfig | None],
    claim: Callable[[TrainConfig | None], Output],
    callbacks: Sequence[Callback],
    python_parts: PythonParts,
    commit_steps: int | None,
    begin: float,
) -> RunDirectory:
    """As ``tfdl.training.train``, on ranks that may die and join.

    Args:
        resolve: builds the model that Python code passed, and returns the run's configuration; called on every rank
            before each session.
        claim: decides where a new run of this configuration goes; called on one rank.
        callbacks: as for ``train``; they start and close anew with every change of the ranks.
        python_parts: the objects that Python code passed.
        commit_steps: steps between two commits; none is ``COMMIT_STEPS``.
        begin: when the run began, in seconds since the epoch.

    Raises:
        UserError: the launcher is not an elastic one, or a model that cannot be built anew.
        RunError: this rank's host was taken off the list. Otherwise as ``train``; a lost rank is no error as long as
            others remain.
    """
    every = COMMIT_STEPS if commit_steps is None else commit_steps
    if every < 1:
        raise UserError(f"--commit-steps={every}, expected at least 1")
    if not python_parts.can_be_rebuilt:
        raise UserError(
            "an elastic run builds its model anew for other ranks, expected model= to be a function that builds it, and"
            " compiles it with its optimizer"
        )
    ranks = ElasticRanks()
    memory = Memory()
    while True:
        session: Session | None = None
        try:
            begun_from = _meet(ranks, memory, resolve, claim)
            session = _session(ranks, memory, begun_from, callbacks, python_parts, every, begin)
            session.prepare()
            session.run()
            ranks.close()
            return session.run_directory
        except RanksChanged:
            reason = "the launcher has new ranks"
        except Exception as error:
            if not ranks.is_lost(error):
                if session is not None and ranks.world.is_chief:
                    session.record.note_error(error)
                raise
            reason = "a rank was lost"
        if session is not None:
            memory.reached_step = max(memory.reached_step, session.step)
        memory.note(f"{reason} at step {memory.reached_step}; waiting until there are --min-np ranks again")
        # The old graphs hold the old ranks. Names start again, so that the new model's variables have the same ones.
        del session
        keras.utils.clear_session()
        ranks.rejoin()


@dataclass(frozen=True)
class Root:
    """The rank whose state all ranks take."""

    rank: int
    offer: Offer


def _meet(
    ranks: ElasticRanks,
    memory: Memory,
    resolve: Callable[[], TrainConfig | None],
    claim: Callable[[TrainConfig | None], Output],
) -> Root:
    """The ranks learn who has which state. A new run is claimed; one that has begun is made known to ranks that
    joined."""
    world = ranks.world
    commit = memory.commit
    offer = Offer(memory.output is not None)
    if commit is not None:
        offer = Offer(True, commit.progress.step, memory.committed_ranks, memory.reached_step)
    offers = world.all_gather_object(offer)
    root = max(range(world.size), key=lambda rank: (offers[rank].step, offers[rank].has_output, -rank))
    with world.agreement():
        config = resolve()
        if world.rank == root and memory.output is None:
            memory.output = claim(config)
    memory.output = world.broadcast_object(memory.output, root)
    return Root(root, offers[root])


def _session(
    ranks: ElasticRanks,
    memory: Memory,
    root: Root,
    callbacks: Sequence[Callback],
    python_parts: PythonParts,
    every: int,
    begin: float,
) -> Session:
    """The run from this change of the ranks to the next."""
    assert memory.output is not None
    membership = ElasticMembership(ranks, memory, root.offer, every)
    return Session(
        memory.output,
        ranks.world,
        begin,
        callbacks=callbacks,
        python_parts=python_parts,
        starting_point=CommitOrStart(memory, root, membership),
        membership=membership,
        opened=memory.opened,
    )


class ElasticMembership(Membership):
    """Commits now and then, and lets the ranks meet again when the launcher has others.

    Args:
        ranks: this process's part in the job.
        memory: where commits go.
        offer: whose state this session began with.
        every: steps between two commits.
    """

    def __init__(self, ranks: ElasticRanks, memory: Memory, offer: Offer, every: int):
        self._ranks = ranks
        self._memory = memory
        self._every = every
        self._state: TrainingState | None = None
        self._committed_step = 0
        self.longest_execution = every
        self.note = _change_note(ranks.world.size, offer)

    def watch(self, state: TrainingState) -> None:
        """Commits a state for the first time.

        Args:
            state: of this session.
        """
        self._state = state
        self._commit()

    def wants_change(self) -> bool:
        """See ``Membership.wants_change``."""
        return self._ranks.hosts_changed

    def after_steps(self, wishes: float) -> None:
        """See ``Membership.after_steps``."""
        assert self._state is not None
        if wishes or self._state.progress.step - self._committed_step >= self._every:
            self._commit()
        if wishes:
            raise RanksChanged

    def after_epoch(self, wishes: float) -> None:
        """See ``Membership.after_epoch``."""
        self._commit()
        if wishes:
            raise RanksChanged

    def _commit(self) -> None:
        assert self._state is not None
        self._memory.commit = self._state.commit()
        self._memory.committed_ranks = self._ranks.world.size
        self._committed_step = self._state.progress.step
        self._memory.reached_step = self._committed_step


class CommitOrStart(StartingPoint):
    """The last commit that any rank has; without one, a new run or a checkpoint.

    Args:
        memory: of this process.
        root: the rank whose state it is.
        membership: commits from here on.
    """

    def __init__(self, memory: Memory, root: Root, membership: ElasticMembership):
        self._memory = memory
        self._root = root
        self._membership = membership

    def restore(
        self,
        config: TrainConfig,
        parts: RunParts,
        state: TrainingState,
        record: RunRecord,
        python_parts: PythonParts,
        world: World,
    ) -> None:
        """See ``StartingPoint.restore``."""
        self._memory.opened = (parts.task, parts.sources)
        if self._root.offer.step < 0:
            NewOrCheckpoint().restore(config, parts, state, record, python_parts, world)
            # The directory is made: it stays this run's if a rank is lost before the first commit.
            assert self._memory.output is not None
            self._memory.output = replace(self._memory.output, run=record.run, is_named_by_us=False)
        else:
            with world.agreement():
                if world.is_chief:
                    record.take_over(f"running; {self._membership.note}")
            record.is_open = True
            if world.rank == self._root.rank:
                assert self._memory.commit is not None
                state.take(self._memory.commit)
            state.share(self._root.rank)
        self._membership.watch(state)


def _change_note(num_ranks: int, offer: Offer) -> str:
    """How the ranks have changed; empty at the start of a run."""
    if offer.step < 0:
        return ""
    lost_steps = offer.reached_step - offer.step
    repeated = f"; {lost_steps} steps after it are repeated" if lost_steps else ""
    ranks = "1 rank" if num_ranks == 1 else f"{num_ranks} ranks"
    return f"{ranks} now, {offer.ranks} before: from step {offer.step} on{repeated}"
