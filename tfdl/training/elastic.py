"""Training with ranks that may die and join: commits to memory, and a new session after each change of the ranks."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import keras

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.elastic.ranks import ElasticRanks, open_elastic_ranks
from tfdl.distributed.launchers import is_elastic_launch
from tfdl.distributed.watchdog import current_watchdog
from tfdl.errors import UserError
from tfdl.runs import RunDirectory
from tfdl.runs.run_lock import RunLock
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

# Steps between two commits, unless --commit-steps is given.
COMMIT_STEPS = 100


@dataclass
class Memory:
    """What a process keeps from one session to the next."""

    output: Output | None = None
    opened: Opened | None = None
    commit: Commit | None = None
    committed_ranks: int = 0
    """The number of ranks at the last commit."""
    lock: RunLock | None = None
    """Of the run directory, on a rank that is or was rank 0."""
    reached_step: int = 0
    """The step that training had reached. The steps between the commit and this one are repeated."""

    def note(self, reason: str) -> None:
        """Writes the run's state to ``status.json`` while the ranks are being changed.

        Every rank writes it, because any rank may be the only one that is left.

        Args:
            reason: in one line.
        """
        if self.output is not None and self.commit is not None:
            with contextlib.suppress(OSError):
                self.output.run.write_status(None, reason)


@dataclass(frozen=True)
class Offer:
    """What a rank has when the ranks meet. The state of one rank is then given to all ranks."""

    has_output: bool
    """Whether the rank knows the run directory."""
    step: int = -1
    """The step of its commit; -1 without a commit."""
    ranks: int = 0
    """The number of ranks at its commit."""
    reached_step: int = 0
    """The step that training had reached on this rank."""


class RanksChanged(Exception):  # noqa: N818  (no error: the ranks agreed to meet again)
    """Ends a session in which no rank was lost: everything is committed, and the ranks meet again."""


def train_elastic(
    resolve: Callable[[], TrainConfig | None],
    claim: Callable[[TrainConfig | None], Output],
    callbacks: Sequence[Callback],
    python_parts: PythonParts,
    commit_steps: int | None,
    begin: float,
) -> RunDirectory:
    """Trains as ``tfdl.training.train`` does, on ranks that may die and join.

    Args:
        resolve: builds the model that Python code passed, and returns the run's configuration; called on every rank
            before each session.
        claim: decides where a new run of this configuration goes; called on one rank.
        callbacks: as for ``train``; each session calls their ``on_start`` and ``close``.
        python_parts: the objects that Python code passed.
        commit_steps: steps between two commits; None for ``COMMIT_STEPS``.
        begin: when the run began, in seconds since the epoch.

    Returns:
        The finished run's directory.

    Raises:
        UserError: the job was not started as an elastic one, or the model cannot be built again.
        RunError: this rank's host was removed from the list of hosts. Other errors are those of ``train``. A lost rank
            is not an error while other ranks remain.
    """
    steps_between_commits = COMMIT_STEPS if commit_steps is None else commit_steps
    if steps_between_commits < 1:
        raise UserError(f"--commit-steps={steps_between_commits}, expected at least 1")
    if not python_parts.can_be_rebuilt:
        raise UserError(
            "an elastic run builds its model again when its ranks change; expected model= to be a function that builds"
            " it and compiles it with its optimizer"
        )
    if not is_elastic_launch():
        raise UserError(
            "--elastic outside an elastic job, expected horovodrun to start the ranks with a script that lists the"
            " hosts: horovodrun -np 2 --min-np 1 --max-np 4 --host-discovery-script ./discover_hosts.sh"
            " tfdl train --elastic"
        )
    ranks = open_elastic_ranks()
    ranks.enter()
    memory = Memory()

    def build_session(root: Root) -> Session:
        return _build_session(ranks, memory, root, callbacks, python_parts, steps_between_commits, begin)

    try:
        return _train_on_changing_ranks(ranks, memory, partial(_meet, ranks, memory, resolve, claim), build_session)
    finally:
        if memory.lock is not None:
            memory.lock.release()


def _train_on_changing_ranks(
    ranks: ElasticRanks, memory: Memory, meet: Callable[[], "Root"], build_session: Callable[["Root"], Session]
) -> RunDirectory:
    """One session after the other, until the run is done."""
    while True:
        session: Session | None = None
        try:
            session = build_session(meet())
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
        finally:
            if session is not None:
                memory.lock = session.record.held_lock or memory.lock
        if session is not None:
            memory.reached_step = max(memory.reached_step, session.step)
        memory.note(f"{reason} at step {memory.reached_step}; waiting until there are --min-np ranks again")
        # Graphs of the old session use the old ranks. clear_session also resets the counters of names, so the new
        # model's variables get the same names.
        del session
        keras.utils.clear_session()
        ranks.rejoin()


@dataclass(frozen=True)
class Root:
    """The rank whose state is given to all ranks, and what it offered."""

    rank: int
    offer: Offer


def _meet(
    ranks: ElasticRanks,
    memory: Memory,
    resolve: Callable[[], TrainConfig | None],
    claim: Callable[[TrainConfig | None], Output],
) -> Root:
    """The ranks choose the one with the latest commit, and learn the run directory from it.

    A new run gets its directory here.
    """
    world = ranks.world
    commit = memory.commit
    if commit is None:
        offer = Offer(has_output=memory.output is not None)
    else:
        offer = Offer(True, commit.progress.step, memory.committed_ranks, memory.reached_step)
    offers = world.all_gather_object(offer)

    def priority(rank: int) -> tuple[int, bool, int]:
        return offers[rank].step, offers[rank].has_output, -rank  # of equal ranks the first

    root = max(range(world.size), key=priority)
    with world.agreement():
        config = resolve()
        if world.rank == root and memory.output is None:
            memory.output = claim(config)
    memory.output = world.broadcast_object(memory.output, root)
    ranks.set_watchdog_timeout(memory.output.config.watchdog_timeout)
    return Root(root, offers[root])


def _build_session(
    ranks: ElasticRanks,
    memory: Memory,
    root: Root,
    callbacks: Sequence[Callback],
    python_parts: PythonParts,
    steps_between_commits: int,
    begin: float,
) -> Session:
    """The run from this change of the ranks to the next."""
    assert memory.output is not None
    membership = ElasticMembership(ranks, memory, root.offer, steps_between_commits)
    session = Session(
        memory.output,
        ranks.world,
        begin,
        callbacks=callbacks,
        python_parts=python_parts,
        starting_point=CommitOrStart(memory, root, membership),
        membership=membership,
        opened=memory.opened,
    )
    session.record.held_lock = memory.lock
    current_watchdog().on_verdict(session.record.note_verdict)
    return session


class ElasticMembership(Membership):
    """Commits every few steps, and ends the session when the launcher reports other hosts.

    Args:
        ranks: the ranks of the job, as this process sees them.
        memory: where commits go.
        offer: what the rank had whose state this session began with.
        steps_between_commits: the most steps between two commits.
    """

    def __init__(self, ranks: ElasticRanks, memory: Memory, offer: Offer, steps_between_commits: int):
        self._ranks = ranks
        self._memory = memory
        self._steps_between_commits = steps_between_commits
        self._state: TrainingState | None = None
        self._committed_step = 0
        self.longest_execution = steps_between_commits
        self.note = _change_note(ranks.world.size, offer)

    def watch(self, state: TrainingState) -> None:
        """Takes the session's state, and commits it for the first time.

        Args:
            state: of this session.
        """
        self._state = state
        self._commit()

    def wants_change(self) -> bool:
        """See ``Membership.wants_change``."""
        return self._ranks.hosts_changed

    def after_steps(self, change_requests: float) -> None:
        """See ``Membership.after_steps``."""
        assert self._state is not None
        steps_since_commit = self._state.progress.step - self._committed_step
        if change_requests or steps_since_commit >= self._steps_between_commits:
            self._commit()
        if change_requests:
            raise RanksChanged

    def after_epoch(self, change_requests: float) -> None:
        """See ``Membership.after_epoch``."""
        self._commit()
        if change_requests:
            raise RanksChanged

    def _commit(self) -> None:
        assert self._state is not None
        self._memory.commit = self._state.commit()
        self._memory.committed_ranks = self._ranks.world.size
        self._committed_step = self._state.progress.step
        self._memory.reached_step = self._committed_step


class CommitOrStart(StartingPoint):
    """The last commit that any rank has; without a commit, a new run or a checkpoint.

    Args:
        memory: of this process.
        root: the rank whose state is restored.
        membership: gets the restored state, and commits it.
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
            # The directory exists now, and must be used again if a rank is lost before the first commit.
            assert self._memory.output is not None
            self._memory.output = replace(self._memory.output, run=record.run, is_named_by_us=False, replaces=True)
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
    """Describes how the ranks have changed; empty at the start of a run."""
    if offer.step < 0:
        return ""
    ranks = "1 rank" if num_ranks == 1 else f"{num_ranks} ranks"
    note = f"{ranks} now, {offer.ranks} before: from step {offer.step} on"
    repeated_steps = offer.reached_step - offer.step
    if repeated_steps == 1:
        note += "; 1 step after it is repeated"
    elif repeated_steps > 1:
        note += f"; {repeated_steps} steps after it are repeated"
    return note
