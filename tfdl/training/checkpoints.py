"""When a run saves checkpoints, and what happens when one cannot be written."""

import math
import time
from collections.abc import Callable

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.watchdog import long_work
from tfdl.errors import first_line
from tfdl.runs import RunDirectory
from tfdl.training.checkpoint_sharing import are_shared
from tfdl.training.checkpoint_writer import CheckpointWriter, WholeWriter
from tfdl.training.shard_writer import ShardWriter
from tfdl.training.training_state import TrainingState

_SECONDS_OF_MINUTE = 60.0


class Checkpoints:
    """Saves a training's state, in the background. All methods but ``close`` are called on every rank.

    A step waits only for the copy of the state to memory, and for the checkpoint before if that is still being written.
    Rank 0 writes alone, or each rank writes a shard (see ``are_shared``).

    Args:
        state: what to save.
        run: the run directory.
        config: how often, how many are kept, and what an error does.
        world: the ranks; rank 0 writes.
        warn: shows a line to the user, on rank 0.
    """

    def __init__(
        self,
        state: TrainingState,
        run: RunDirectory,
        config: TrainConfig,
        world: World,
        warn: Callable[[str], None],
    ):
        self._state = state
        self._world = world
        self._config = config
        self._folder = run.checkpoints
        self._writer: CheckpointWriter | None = None  # chosen at the first checkpoint
        self._steps = config.checkpoint_steps
        self._seconds = (config.checkpoint_minutes or math.inf) * _SECONDS_OF_MINUTE
        self._goes_on = config.on_checkpoint_error == "continue"
        self._warn = warn
        self._saved_at = time.monotonic()

    @property
    def is_wanted(self) -> bool:
        """Whether this rank asks all ranks to save now: because of an error to raise, or on rank 0 of the time."""
        has_failed = self._writer is not None and self._writer.has_failed
        is_over = has_failed and not self._goes_on
        return is_over or (self._world.is_chief and time.monotonic() - self._saved_at >= self._seconds)

    @property
    def awaits_others(self) -> bool:
        """Whether this rank has written its shard of a checkpoint. When all have, ``finish`` is due."""
        return self._writer is not None and self._writer.awaits_others

    def steps_until_due(self, step: int) -> float:
        """The number of steps until a checkpoint is due.

        Args:
            step: optimizer steps done.
        """
        return math.inf if self._steps is None else self._steps - step % self._steps

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is due after this step.

        Args:
            step: optimizer steps done, more than none.
        """
        return self._steps is not None and step % self._steps == 0

    def save(self) -> None:
        """Copies the state and begins to write it.

        Raises:
            OSError: rank 0 could not write the checkpoint before. The other ranks raise the same error.
        """
        self.finish()
        if self._writer is None:
            self._writer = self._new_writer()
        content = self._state.content(self._writer.shard)
        if content is not None:
            self._writer.start(content)
        self._saved_at = time.monotonic()

    def finish(self) -> bool:
        """Waits until the last checkpoint is written.

        Returns:
            On rank 0, whether it was; True on the other ranks.

        Raises:
            OSError: as ``save`` does.
        """
        if self._writer is None:
            return True
        with self._world.agreement(), long_work("saving a checkpoint"):
            return self._ended(self._writer.finish, raises=not self._goes_on)

    def close(self) -> None:
        """Waits until nothing is being written any more. An error that nothing has raised is shown."""
        if self._writer is not None:
            with long_work("saving a checkpoint"):
                self._ended(self._writer.close, raises=False)

    def _new_writer(self) -> CheckpointWriter:
        keep = self._config.keep_checkpoints
        variables = self._state.variables
        is_shared, note = are_shared(self._config.checkpoint_shards, self._folder, variables, self._world)
        if note and self._world.is_chief:
            self._warn(note)
        return ShardWriter(self._folder, keep, self._world) if is_shared else WholeWriter(self._folder, keep)

    def _ended(self, end: Callable[[], None], *, raises: bool) -> bool:
        """Waits until the last checkpoint is written; returns whether it was."""
        assert self._writer is not None
        try:
            end()
        except OSError as error:
            if raises:
                raise
            reason = first_line(error)
            self._warn(f"warning: the checkpoint of step {self._writer.step} was not written: {reason}")
            return False
        return True
