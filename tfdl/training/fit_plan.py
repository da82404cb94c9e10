"""What a run trains on, for how long, and where it is in its data."""

import math
from dataclasses import dataclass
from typing import Any

from tfdl.data import Position, Source, training_batches
from tfdl.data.order import shard_rows
from tfdl.distributed import World
from tfdl.runs import Progress
from tfdl.training.monitor import Monitor
from tfdl.training.run_length import RunLength
from tfdl.training.trainer import Trainer


@dataclass(frozen=True)
class FitPlan:
    """What to train on, for how long, and in which portions."""

    source: Source
    batch_size: int
    """Samples of one optimizer step on one rank."""
    seed: int
    """Decides the order of the samples and the augmentation."""
    steps_per_execution: int
    """The most steps in one graph call."""
    length: RunLength
    monitor: Monitor
    """Decides which checkpoint is the best."""
    validation_steps: int | None = None
    """Steps between two validations within an epoch; none for one at the end of each epoch alone."""
    validation_samples: int = 0
    """Samples of the validation split."""
    deadline: float = math.inf
    """When the run's time is over, in seconds since the epoch."""
    sync_check_steps: int = 200
    """Steps between two comparisons of the ranks' states; 0 compares at the end only."""


def open_batches(plan: FitPlan, trainer: Trainer, progress: Progress) -> Any:
    """Returns this rank's part of the training batches from the run's position on, repeated without end.

    Args:
        plan: the data and the batch size.
        trainer: has the ranks, and the task's augmentation.
        progress: the run's position.
    """
    return training_batches(
        plan.source,
        batch_size=plan.batch_size,
        seed=plan.seed,
        start=Position(progress.epoch, progress.sample, progress.epoch_batch),
        shard_index=trainer.world.rank,
        num_shards=trainer.world.size,
        augment=trainer.task.augment,
    )


def next_samples(plan: FitPlan, world: World, progress: Progress) -> list[int]:
    """The numbers of the samples in this rank's part of the next step; none if its batch is a stand-in.

    Args:
        plan: the data and the batch size.
        world: the ranks.
        progress: the run's position.
    """
    global_batch = plan.batch_size * world.size
    order = plan.source.epoch_order(plan.seed, progress.epoch, progress.epoch_batch or global_batch)
    step = order[progress.sample :][:global_batch]
    (rows,) = shard_rows(step, plan.batch_size, world.rank, world.size)
    numbers: list[int] = rows[rows >= 0].tolist()
    return numbers
