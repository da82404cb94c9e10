"""Where the state of a session comes from: nothing, or a checkpoint."""

from abc import ABC, abstractmethod

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.watchdog import long_work
from tfdl.errors import RunError, UserError
from tfdl.runs import Progress
from tfdl.runs.checkpoint import DamagedCheckpointError
from tfdl.runs.checkpoint_folder import checkpoint_name, newest_first
from tfdl.training.python_parts import PythonParts
from tfdl.training.run_parts import RunParts
from tfdl.training.run_record import RunRecord
from tfdl.training.training_state import TrainingState


class StartingPoint(ABC):
    """Gives one state to all ranks, and opens the run directory."""

    @abstractmethod
    def restore(
        self,
        config: TrainConfig,
        parts: RunParts,
        state: TrainingState,
        record: RunRecord,
        python_parts: PythonParts,
        world: World,
    ) -> None:
        """Restores the state. It is called on every rank, before the first step.

        Args:
            config: the run.
            parts: the built parts; each rank's weights are its own random numbers.
            state: is restored, and shared by all ranks.
            record: the run directory to open.
            python_parts: the objects that Python code passed.
            world: the ranks.
        """


class NewOrCheckpoint(StartingPoint):
    """A new run, or the newest checkpoint of the run directory."""

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
        with world.agreement(), long_work("opening the run directory"):
            if world.is_chief:
                if record.checkpoint is None:
                    record.weights_note = parts.initial_weights.load(parts.model)
                    record.create(config, parts.task, parts.sources, python_parts)
                    parts.initial_weights.save(record.run.assets)
                else:
                    record.lock()
                    load_newest(state, record)
                    _check_not_past(config, state.progress)
                    record.resume(config)
        record.run = world.broadcast_object(record.run)
        record.is_open = True
        state.share()


def load_newest(state: TrainingState, record: RunRecord, *, before_step: int | None = None) -> None:
    """Loads the newest checkpoint that is whole; called on rank 0.

    Args:
        state: to restore.
        record: of the run; notes the checkpoints that it passes over.
        before_step: checkpoints of this step and later ones are passed over, if there are others.

    Raises:
        RunError: there is none.
    """
    faults = []
    folders = newest_first(record.run.checkpoints)
    if before_step is not None:
        limit = checkpoint_name(before_step)
        folders = [folder for folder in folders if folder.name < limit] or folders
    for folder in folders:
        try:
            state.load(folder)
        except DamagedCheckpointError as error:
            faults.append(error.fault)
            continue
        if faults:
            reasons = "; ".join(faults)
            record.checkpoint_note = f"{reasons}; the run continues from {folder.name}, the newest one that is whole"
        return
    raise RunError(f"the run has no whole checkpoint to resume from: {'; '.join(faults)}; begin again with --overwrite")


def _check_not_past(config: TrainConfig, progress: Progress) -> None:
    """Refuses a planned end that the run has already passed."""
    if config.steps is not None:
        unit = "steps"
        done = progress.step
        planned = config.steps
    else:
        unit = "epochs"
        done = progress.epoch
        planned = config.epochs or 0
    if done > planned:
        raise UserError(f"--resume with {unit}={planned}, but the run has done {done} already; give more {unit}")
