"""Writes checkpoints that are divided over the ranks, while the training goes on."""

import shutil
from pathlib import Path

from tfdl.distributed import World
from tfdl.errors import first_line
from tfdl.runs.atomic import flush_to_disk
from tfdl.runs.checkpoint import begin_sharded, finish_sharded, write_files
from tfdl.runs.checkpoint_content import CheckpointContent
from tfdl.runs.checkpoint_folder import prune
from tfdl.runs.checkpoint_shards import Shard
from tfdl.training.background_writer import BackgroundWriter
from tfdl.training.checkpoint_writer import CheckpointWriter


class ShardWriter(CheckpointWriter):
    """Each rank writes its shard; when all are written, rank 0 writes the manifest.

    Until then, the checkpoint has a hidden name, and one that lacks a shard is never read.

    Args:
        folder: the run's folder of checkpoints, which all ranks see.
        keep: the number of checkpoints to keep, besides the best one.
        world: the ranks.
    """

    def __init__(self, folder: Path, keep: int, world: World):
        self.shard = Shard(world.rank, world.size)
        self._folder = folder
        self._keep = keep
        self._world = world
        self._unfinished: Path | None = None
        self._best_step = 0
        self._writer: BackgroundWriter[dict[str, str]] = BackgroundWriter()

    @property
    def has_failed(self) -> bool:
        """See ``CheckpointWriter``."""
        return self._writer.has_failed

    @property
    def awaits_others(self) -> bool:
        """See ``CheckpointWriter``."""
        return self._writer.is_done

    def start(self, content: CheckpointContent) -> None:
        """See ``CheckpointWriter.start``; called on all ranks together.

        Raises:
            OSError: rank 0 could not make the folder.
        """
        self.step = content.progress.step
        self._best_step = content.progress.best_step
        unfinished = None
        with self._world.agreement():
            if self._world.is_chief:
                unfinished = begin_sharded(self._folder, self.step)
        name = self._world.broadcast_object(unfinished and unfinished.name)
        self._unfinished = folder = self._folder / name
        self._writer.start(lambda: _write_shard(folder, content))

    def finish(self) -> None:
        """See ``CheckpointWriter.finish``."""
        unfinished = self._unfinished
        if unfinished is None:
            return
        self._unfinished = None
        manifest, fault = self._own_outcome()
        outcomes = self._world.all_gather_object((manifest, fault))
        if not self._world.is_chief:
            return
        faults = [f"rank {rank}: {fault}" for rank, (_, fault) in enumerate(outcomes) if fault]
        try:
            if faults:
                raise OSError("; ".join(faults))
            files = {name: digest for manifest, _ in outcomes for name, digest in manifest.items()}
            path = finish_sharded(unfinished, self.step, files)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        prune(self._folder, self._keep, self._best_step, path)

    def close(self) -> None:
        """See ``CheckpointWriter.close``; a checkpoint that is not complete is removed."""
        try:
            self._writer.finish()
        finally:
            if self._unfinished is not None and self._world.is_chief:
                shutil.rmtree(self._unfinished, ignore_errors=True)

    def _own_outcome(self) -> tuple[dict[str, str], str]:
        """The SHA-256 of the files that this rank has written, and why it could not write them."""
        try:
            return self._writer.finish() or {}, ""
        except OSError as error:
            return {}, first_line(error)


def _write_shard(folder: Path, content: CheckpointContent) -> dict[str, str]:
    """Writes a shard, and returns the SHA-256 of its files. It is on the disk then: rank 0 need not wait for it."""
    written = write_files(folder, content)
    for name in written:
        flush_to_disk(folder / name)
    return written
