"""What happens to a run that has diverged: it ends with its last finite weights, or goes back to a checkpoint."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import NoReturn

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.sync_proof import SyncProof
from tfdl.errors import RunError
from tfdl.training.callbacks import Callback
from tfdl.training.checkpoints import Checkpoints
from tfdl.training.divergence import DivergenceError
from tfdl.training.run_record import RunRecord
from tfdl.training.starting_point import load_newest
from tfdl.training.training_state import TrainingState

# What the learning rate is multiplied by at each return to a checkpoint.
_RATE_FACTOR = 0.5


class Recovery:
    """Ends or repeats a training that has diverged. All methods are called on every rank.

    Args:
        config: of the run.
        state: of the training.
        record: the run directory.
        world: the ranks.
        checkpoints: save the state.
        watchers: get the notices.
        after_return: adapts what follows the restored state, such as the learning rate.
    """

    def __init__(
        self,
        config: TrainConfig,
        state: TrainingState,
        record: RunRecord,
        world: World,
        checkpoints: Checkpoints,
        watchers: Callback,
        after_return: Callable[[], None],
    ):
        self._returns = config.on_divergence == "rollback"
        self._most = config.max_rollbacks
        self._state = state
        self._record = record
        self._world = world
        self._checkpoints = checkpoints
        self._watchers = watchers
        self._after_return = after_return

    def begin(self) -> None:
        """Saves a new run: the first checkpoint to go back to."""
        if self._returns and not self._state.progress.step:
            self._checkpoints.save()

    def recover(self, error: DivergenceError, proof: SyncProof) -> None:
        """Goes back to the last checkpoint, with a smaller learning rate, or ends the run.

        Args:
            error: why training cannot go on.
            proof: compares the ranks' states.

        Raises:
            DivergenceError: the run does not go back, or has done so too often, or it would not help. A checkpoint has
                the weights before the step.
        """
        step = self._state.progress.step
        if error.findings and self._world.is_chief:
            with suppress(OSError):  # the error itself is printed
                self._record.run.write_divergence(step + 1, [asdict(finding) for finding in error.findings])
        if not self._returns or not error.may_be_repeated:
            self._end(error, proof)
        num_returns = self._state.progress.rollbacks
        if num_returns >= self._most:
            times = "once" if num_returns == 1 else f"{num_returns} times"
            self._end(error.after(f"the run had gone back to a checkpoint {times} (max_rollbacks={self._most})"), proof)
        self._return(error)

    def _end(self, error: DivergenceError, proof: SyncProof) -> NoReturn:
        step = self._state.progress.step
        if error.is_saveable and step:
            proof.before_results(step)
            self._checkpoints.save()
        self._checkpoints.finish()
        raise error

    def _return(self, error: DivergenceError) -> None:
        self._checkpoints.finish()
        diverged = self._state.progress
        factor = diverged.rate_factor * _RATE_FACTOR
        with self._world.agreement():
            if self._world.is_chief:
                try:
                    # No step can be made from a checkpoint of the step where it diverged.
                    load_newest(self._state, self._record, before_step=diverged.step)
                except RunError as missing:
                    raise error.after(f"the run cannot go back: {missing}") from missing
                self._state.progress.rate_factor = factor
                self._state.progress.rollbacks = diverged.rollbacks + 1
        self._state.share()
        self._state.restore_callbacks()
        self._after_return()
        progress = self._state.progress
        self._watchers.on_return(progress)
        self._checkpoints.save()  # a job that is killed now continues with the smaller rate, and counts this return
        if self._world.is_chief:
            self._watchers.on_notice(
                f"{error.cause}; the run goes back to step {progress.step} and continues with {factor:g} times the"
                " learning rate"
            )
