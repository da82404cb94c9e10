"""When a run saves checkpoints, and what happens when one cannot be written."""

import math
import time
from collections.abc import Callable

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.watchdog import long_work
from tfdl.errors import first_line
from tfdl.runs import RunDirectory
from tfdl.training.checkpoint_writer import CheckpointWriter
from tfdl.training.training_state import TrainingState

_SECONDS_OF_MINUTE = 60.0


class Checkpoints:
    """Saves a training's state, in the background. All methods but ``is_wanted`` are called on every rank.

    A step waits only for the copy of the state to memory, and for the checkpoint before if that is still being written.

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
        self._writer = CheckpointWriter(run.checkpoints, config.keep_checkpoints)
        self._steps = config.checkpoint_steps
        self._seconds = (config.checkpoint_minutes or math.inf) * _SECONDS_OF_MINUTE
        self._goes_on = config.on_checkpoint_error == "continue"
        self._warn = warn
        self._saved_at = time.monotonic()

    @property
    def is_wanted(self) -> bool:
        """Whether this rank asks all ranks to save now: on rank 0, because of the time, or of an error to raise."""
        if not self._world.is_chief:
            return False
        is_over = self._writer.has_failed and not self._goes_on
        return is_over or time.monotonic() - self._saved_at >= self._seconds

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
        content = self._state.content()
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
        is_written = True
        with self._world.agreement(), long_work("saving a checkpoint"):
            if self._world.is_chief:
                is_written = self._finish(raises=not self._goes_on)
        return is_written

    def close(self) -> None:
        """Waits until nothing is being written any more. An error that nothing has raised is shown."""
        with long_work("saving a checkpoint"):
            self._finish(raises=False)

    def _finish(self, *, raises: bool) -> bool:
        """Waits until the last checkpoint is written; returns whether it was."""
        try:
            self._writer.finish()
        except OSError as error:
            if raises:
                raise
            reason = first_line(error)
            self._warn(f"warning: the checkpoint of step {self._writer.step} was not written: {reason}")
            return False
        return True
