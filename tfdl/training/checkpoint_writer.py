"""Writes checkpoints while the training goes on."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tfdl.runs.checkpoint import CheckpointContent, prune, write_checkpoint


class CheckpointWriter:
    """Writes copies of a training's state in a thread, one after the other.

    Python waits at its exit until the last one is written.

    Args:
        folder: the run's folder of checkpoints.
        keep: the number of checkpoints to keep, besides the best one.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder = folder
        self._keep = keep
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._written: Future[None] | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last checkpoint could not be written. ``finish`` raises the reason."""
        is_done = self._written is not None and self._written.done()
        return is_done and self._written.exception() is not None  # type: ignore[union-attr]

    def start(self, content: CheckpointContent) -> None:
        """Begins to write a checkpoint. The one before must be finished.

        Args:
            content: a copy, which nobody changes.
        """
        assert self._written is None
        self._written = self._thread.submit(self._write, content)

    def finish(self) -> None:
        """Waits until the last checkpoint is written.

        Raises:
            OSError: it could not be written.
            RunError: a callback's state cannot be written.
        """
        written = self._written
        self._written = None  # also after an error, which is raised once
        if written is not None:
            written.result()

    def close(self) -> None:
        """Waits until the last checkpoint is written, or cannot be."""
        self._thread.shutdown()

    def _write(self, content: CheckpointContent) -> None:
        write_checkpoint(self._folder, content)
        prune(self._folder, self._keep, content.progress.best_step)
