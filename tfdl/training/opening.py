"""A run's data, opened on every rank."""

from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.distributed import World
from tfdl.errors import UserError
from tfdl.tasks import TASKS


def open_data(
    config: TrainConfig,
    world: World,
    assets: Path | None = None,
    opened: tuple[Any, dict[str, Source]] | None = None,
) -> tuple[Any, dict[str, Source]]:
    """The task and its splits. The chief prepares the data first; hosts that do not share its disk then do so too.

    What a run that goes on has learned from its data (a vocabulary) is in its ``assets``. A rank that has ``opened``
    the data already keeps it.
    """
    task_class = TASKS[config.task]
    with world.agreement():
        if world.is_chief:
            opened = opened or task_class.open(config, assets)
    with world.agreement():
        opened = opened or task_class.open(config, assets)
    assert opened is not None
    return opened


def check_batch_size(config: TrainConfig, source: Source, world_size: int) -> None:
    """A step needs a sample for every place of its batch.

    Raises:
        UserError: there are fewer.
    """
    per_batch = config.accumulation_steps * world_size
    samples, batch = source.num_examples, config.batch_size * per_batch
    if batch > samples:
        ranks = f" on each of {world_size} ranks" if world_size > 1 else ""
        ranks += f", {config.accumulation_steps} times a step" if config.accumulation_steps > 1 else ""
        raise UserError(
            f"batch_size={config.batch_size}{ranks}, but {config.dataset.name!r} has {samples} {source.unit};"
            f" expected at most {samples // per_batch}"
        )
