"""Writes checkpoints while the training goes on."""

from pathlib import Path

from tfdl.runs.checkpoint import CheckpointContent, prune, write_checkpoint
from tfdl.runs.checkpoint_shards import Shard
from tfdl.training.background_writer import BackgroundWriter


class CheckpointWriter:
    """Writes copies of a training's state in a thread, one after the other. Rank 0 writes alone.

    Args:
        folder: the run's folder of checkpoints.
        keep: the number of checkpoints to keep, besides the best one.

    Attributes:
        step: of the last checkpoint that was begun.
        shard: the part of a checkpoint that this rank writes; ``None`` for all of it.
    """

    shard: Shard | None = None

    def __init__(self, folder: Path, keep: int):
        self.step = 0
        self._folder = folder
        self._keep = keep
        self._writer: BackgroundWriter[None] = BackgroundWriter()

    @property
    def has_failed(self) -> bool:
        """Whether this rank could not write what it was given last. ``finish`` raises the reason."""
        return self._writer.has_failed

    @property
    def awaits_others(self) -> bool:
        """Whether this rank has written its part of a checkpoint, which ``finish`` completes."""
        return False

    def start(self, content: CheckpointContent) -> None:
        """Begins to write a checkpoint. The one before must be finished.

        Args:
            content: a copy, which nobody changes.
        """
        self.step = content.progress.step
        self._writer.start(lambda: self._write(content))

    def finish(self) -> None:
        """Waits until the last checkpoint is written.

        Raises:
            OSError: it could not be written.
        """
        self._writer.finish()

    def close(self) -> None:
        """Waits until this rank writes nothing any more; called when a run ends, whatever the other ranks do.

        Raises:
            OSError: the last checkpoint could not be written.
        """
        self._writer.finish()

    def _write(self, content: CheckpointContent) -> None:
        path = write_checkpoint(self._folder, content)
        prune(self._folder, self._keep, content.progress.best_step, path)
