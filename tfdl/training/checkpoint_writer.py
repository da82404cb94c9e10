"""Writes checkpoints while the training goes on."""

from abc import ABC, abstractmethod
from pathlib import Path

from tfdl.runs.checkpoint import write_checkpoint
from tfdl.runs.checkpoint_content import CheckpointContent
from tfdl.runs.checkpoint_folder import prune
from tfdl.runs.checkpoint_shards import Shard
from tfdl.training.background_writer import BackgroundWriter


class CheckpointWriter(ABC):
    """Writes copies of a training's state in a thread, one after the other; the part of one rank."""

    shard: Shard | None = None
    """The part of a checkpoint that this rank writes; ``None`` if rank 0 writes all of it."""
    step: int = 0
    """Of the last checkpoint that was begun."""

    @property
    @abstractmethod
    def has_failed(self) -> bool:
        """Whether this rank could not write what it was given last. ``finish`` raises the reason."""

    @property
    def awaits_others(self) -> bool:
        """Whether this rank has written its part. When all have, ``finish`` does not wait, and is due."""
        return False

    @abstractmethod
    def start(self, content: CheckpointContent) -> None:
        """Begins to write a checkpoint. The one before must be finished.

        Args:
            content: a copy of what this rank writes, which nobody changes.
        """

    @abstractmethod
    def finish(self) -> None:
        """Waits until the last checkpoint is written; called on all ranks together.

        Raises:
            OSError: it could not be written; on rank 0.
        """

    @abstractmethod
    def close(self) -> None:
        """Waits until this rank writes nothing any more; called when a run ends, whatever the other ranks do.

        Raises:
            OSError: this rank could not write.
        """


class WholeWriter(CheckpointWriter):
    """Rank 0 writes alone: on the others, nothing is started.

    Args:
        folder: the run's folder of checkpoints.
        keep: the number of checkpoints to keep, besides the best one.
    """

    def __init__(self, folder: Path, keep: int):
        self._folder = folder
        self._keep = keep
        self._writer: BackgroundWriter[None] = BackgroundWriter()

    @property
    def has_failed(self) -> bool:
        """See ``CheckpointWriter``."""
        return self._writer.has_failed

    def start(self, content: CheckpointContent) -> None:
        """See ``CheckpointWriter.start``."""
        self.step = content.progress.step
        self._writer.start(lambda: self._write(content))

    def finish(self) -> None:
        """See ``CheckpointWriter.finish``."""
        self._writer.finish()

    def close(self) -> None:
        """See ``CheckpointWriter.close``."""
        self._writer.finish()

    def _write(self, content: CheckpointContent) -> None:
        path = write_checkpoint(self._folder, content)
        prune(self._folder, self._keep, content.progress.best_step, path)
