"""Where the state of a session comes from."""

from abc import ABC, abstractmethod

from tfdl.config import TrainConfig
from tfdl.distributed import World
from tfdl.distributed.watchdog import long_work
from tfdl.errors import UserError
from tfdl.runs import Progress
from tfdl.training.python_parts import PythonParts
from tfdl.training.run_parts import RunParts
from tfdl.training.run_record import RunRecord
from tfdl.training.training_state import TrainingState


class StartingPoint(ABC):
    """Brings one state to all ranks, and the run directory into this session's hands."""

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
        """Called on every rank, before the first step.

        Args:
            config: the run.
            parts: the built parts, on each rank with its own random weights.
            state: to be restored and shared.
            record: to be opened.
            python_parts: the objects that Python code passed.
            world: the ranks.
        """


class NewOrCheckpoint(StartingPoint):
    """A new run, or the checkpoint that the run directory has."""

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
                    record.create(config, parts.task, python_parts)
                else:
                    state.load(record.checkpoint)
                    _check_not_past(config, state.progress)
                    record.resume(config)
        record.run = world.broadcast_object(record.run)
        record.is_open = True
        state.share()


def _check_not_past(config: TrainConfig, progress: Progress) -> None:
    unit = "steps" if config.steps is not None else "epochs"
    done = progress.step if config.steps is not None else progress.epoch
    planned = config.steps if config.steps is not None else config.epochs or 0
    if done > planned:
        raise UserError(f"--resume with {unit}={planned}, but the run has done {done} already; give more {unit}")
