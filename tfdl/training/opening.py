"""Opens a run's data on every rank."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfdl.config import TrainConfig
from tfdl.config.dataset import PythonDataConfig
from tfdl.data import Source
from tfdl.data.objects.description import describe_splits
from tfdl.data.sources import sample_counts
from tfdl.distributed import World
from tfdl.distributed.equal_data import check_equal_data, check_equal_splits
from tfdl.distributed.watchdog import long_work
from tfdl.errors import UserError
from tfdl.tasks.class_weights import class_counts, class_weights, weights_in_words
from tfdl.tasks.classification import Classification
from tfdl.tasks.task import Task
from tfdl.training.python_parts import PythonParts

Opened = tuple[Task, dict[str, Source]]
"""A task, and its splits."""


def open_data(
    config: TrainConfig,
    world: World,
    python_parts: PythonParts,
    assets: Path | None = None,
    opened: Opened | None = None,
) -> Opened:
    """Opens the task and its splits.

    Rank 0 prepares the data first. Then the other ranks open it, and prepare it if their host does not share the disk.

    Args:
        config: the run.
        world: the ranks; all of them must call.
        python_parts: the objects that Python code passed.
        assets: of a run that continues: what the task learned from its data, such as a vocabulary.
        opened: the task and its splits, on a rank that has opened them already.

    Raises:
        UserError: the data cannot be used, or the ranks have different data. It is raised on every rank.
    """
    with world.agreement():
        if world.is_chief and opened is None:
            opened = python_parts.open_task(config, assets)
    with world.agreement():
        if opened is None:
            opened = python_parts.open_task(config, assets)
    assert opened is not None
    task, sources = opened
    if isinstance(config.dataset, PythonDataConfig):
        check_equal_data(lambda: describe_splits(sources, python_parts.data), world)
    else:
        check_equal_splits(config.dataset.name, task.class_names, sample_counts(sources), world)
    return opened


def weigh_classes(chosen: tuple[str, ...], task: Task, sources: Mapping[str, Source], world: World) -> str:
    """Gives a task the weights of its classes in the training loss.

    Args:
        chosen: the weights (``TrainConfig.class_weight``); none for the weight 1.
        task: of the run.
        sources: the splits.
        world: the ranks; all of them must call. Rank 0 counts.

    Returns:
        The weights in words; empty if all are 1.

    Raises:
        UserError: the task has no classes, or the weights cannot be used. It is raised on every rank.
    """
    if not chosen:
        return ""
    weights = np.zeros(0)
    with world.agreement(), long_work("counting the samples of each class", math.inf):
        if not isinstance(task, Classification):
            raise UserError(
                f"class_weight={', '.join(chosen)}, expected nothing: {task.name} has no classes; leave it out (of your"
                " own data, pass sample weights)"
            )
        if task.has_own_weights:
            raise UserError(
                f"class_weight={', '.join(chosen)}, expected nothing: {type(task).__name__} computes its losses itself;"
                " leave it out"
            )
        if world.is_chief:
            weights = class_weights(chosen, task.class_names, class_counts(sources["train"], len(task.class_names)))
    weights = world.broadcast_object(weights)
    task.class_weights = weights
    return weights_in_words(weights, task.class_names)


def check_batch_size(config: TrainConfig, source: Source, num_ranks: int) -> None:
    """Checks that one step does not need more samples than there are.

    Args:
        config: has the batch size.
        source: the training split.
        num_ranks: the number of ranks.

    Raises:
        UserError: the training split has fewer samples than one step.
    """
    batches_per_step = config.accumulation_steps * num_ranks
    global_batch = config.batch_size * batches_per_step
    if global_batch <= source.num_examples:
        return
    ranks = f" on each of {num_ranks} ranks" if num_ranks > 1 else ""
    times = f", {config.accumulation_steps} times a step" if config.accumulation_steps > 1 else ""
    most = source.num_examples // batches_per_step
    advice = f"expected at most {most}, as with --batch-size {most}"
    if not most:
        advice = f"expected at least {batches_per_step}, one for each rank and each of its batches"
    raise UserError(
        f"batch_size={config.batch_size}{ranks}{times}, but {config.dataset.name!r} has {source.num_examples}"
        f" {source.unit}; {advice}"
    )


def samples_in_words(sources: Mapping[str, Source]) -> str:
    """How many samples each split has, such as ``1,437 training samples, 180 for validation, 180 for the test``.

    Args:
        sources: the splits.
    """
    train = sources["train"]
    validation = sources["validation"]
    words = f"{train.num_examples:,} {train.unit}, {validation.num_examples:,} for validation"
    if sources["test"] is validation:
        return f"{words}, which are also the test split"
    return f"{words}, {sources['test'].num_examples:,} for the test"
