"""``tensorboard/``: a run's metrics as TensorBoard reads them."""

from pathlib import Path

from tfdl.runs import Progress
from tfdl.training.callbacks import Callback, EpochReport, StepReport, ValidationReport
from tfdl.training.event_file import EventFile


class TensorBoardLog(Callback):
    """Writes a scalar for each metric to the folders ``train`` and ``validation``.

    Args:
        folder: gets these two folders.
        step: the step that the run continues from; 0 for a new run.
    """

    def __init__(self, folder: Path, step: int):
        self._train = EventFile(folder / "train", step)
        self._validation = EventFile(folder / "validation", step)

    def on_steps(self, report: StepReport) -> None:
        rates = {"learning_rate": report.learning_rate, "examples_per_second": report.examples_per_second}
        self._train.scalars(report.progress.step, {**report.metrics, **rates, **report.norms})

    def on_validation(self, report: ValidationReport) -> None:
        self._validation.scalars(report.progress.step, report.validation)

    def on_epoch(self, report: EpochReport) -> None:
        self._validation.scalars(report.progress.step, report.validation)
        if report.loss_scale:
            self._train.scalars(report.progress.step, report.loss_scale)

    def on_return(self, progress: Progress) -> None:
        self._train.drop_after(progress.step)
        self._validation.drop_after(progress.step)

    def close(self) -> None:
        self._train.close()
        self._validation.close()
