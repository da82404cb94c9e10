"""Writes checkpoints while the training goes on."""

from pathlib import Path
from threading import Thread

from tfdl.runs.checkpoint import CheckpointContent, prune, write_checkpoint


class CheckpointWriter:
    """Writes copies of a training's state in a thread, one after the other.

    Args:
        folder: the run's folder of checkpoints.
        keep: the number of checkpoints to keep, besides the best one.

    Attributes:
        step: of the last checkpoint that was begun.
    """

    def __init__(self, folder: Path, keep: int):
        self.step = 0
        self._folder = folder
        self._keep = keep
        self._thread: Thread | None = None
        self._error: Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last checkpoint could not be written. ``finish`` raises the reason."""
        return self._error is not None

    def start(self, content: CheckpointContent) -> None:
        """Begins to write a checkpoint. The one before must be finished.

        Args:
            content: a copy, which nobody changes.
        """
        assert self._thread is None
        self.step = content.progress.step
        # A process that is interrupted twice does not wait for a disk that hangs.
        self._thread = Thread(target=self._write, args=(content,), name="checkpoint", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits until the last checkpoint is written.

        Raises:
            OSError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error = self._error
        self._error = None  # it is raised once
        if error is not None:
            raise error

    def _write(self, content: CheckpointContent) -> None:
        try:
            path = write_checkpoint(self._folder, content)
            prune(self._folder, self._keep, content.progress.best_step, path)
        except Exception as error:  # raised where the training waits for it
            self._error = error
