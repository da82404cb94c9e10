"""Builds the parts of a run before its first step."""

import math
from dataclasses import dataclass
from typing import Any

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.distributed import DynamicLossScale, LossScale, NoLossScale, World
from tfdl.tasks.task import Task
from tfdl.training.carried_state import CarriedState, NoCarriedState, RecurrentState
from tfdl.training.initial_weights import InitialWeights
from tfdl.training.opening import check_batch_size
from tfdl.training.optimization import optimizer_for
from tfdl.training.python_parts import PythonParts
from tfdl.training.run_length import RunLength
from tfdl.training.trainer import Trainer


@dataclass(frozen=True)
class RunParts:
    """A run's task, data, model and trainer."""

    task: Task
    sources: dict[str, Source]
    """``train``, ``validation`` and ``test``."""
    model: Any
    trainer: Trainer
    length: RunLength
    rank_batch: int
    """Samples of one optimizer step on one rank."""
    initial_weights: InitialWeights
    """Where the weights of a new run come from."""
    trained_note: str
    """What is trained, if some of the model is frozen."""


def build_parts(
    config: TrainConfig,
    task: Task,
    sources: dict[str, Source],
    python_parts: PythonParts,
    world: World,
    weights: InitialWeights,
) -> RunParts:
    """Builds model, optimizer and trainer. They are the same on every rank, except for random numbers.

    Args:
        config: the run.
        task: defines inputs, loss and metrics.
        sources: the splits.
        python_parts: the objects that Python code passed.
        world: the ranks.
        weights: where the weights come from, and which of them are trained.

    Raises:
        UserError: parts that do not fit together.
    """
    check_batch_size(config, sources["train"], world.size)
    model = python_parts.build_model(config, task, world.size)
    task.fit_to(model)
    task.check_data(sources)
    trained_note = weights.choose_trained(model, task)
    rank_batch = config.batch_size * config.accumulation_steps
    length = RunLength(sources["train"].num_examples, rank_batch * world.size, config.epochs, config.steps)
    optimizer = python_parts.optimizer_of(model) or optimizer_for(
        config.optimizer,
        model,
        total_steps=length.total_steps,
        steps_per_epoch=length.steps_per_epoch,
        ranks=world.size,
    )
    trainer = Trainer(
        model,
        optimizer,
        task,
        world,
        accumulation_steps=config.accumulation_steps,
        compression=config.compression,
        loss_scale=_loss_scale(config),
        carried=_carried_state(model, task, rank_batch, world),
    )
    trainer.checks_layers = config.debug_numerics
    trainer.logs_norms = config.log_norms
    return RunParts(task, sources, model, trainer, length, rank_batch, weights, trained_note)


def _loss_scale(config: TrainConfig) -> LossScale:
    if config.precision != "mixed_float16":
        return NoLossScale()
    # The loss is the sum over a batch, not the mean. So the usual first scale, 2^15, is divided by the batch size,
    # rounded up to a power of two.
    rounded_batch_size = 2.0 ** math.ceil(math.log2(config.batch_size))
    return DynamicLossScale(2.0**15 / rounded_batch_size)


def _carried_state(model: Any, task: Task, rank_batch: int, world: World) -> CarriedState:
    if task.carries_state:
        return RecurrentState(model, rank_batch, world)
    return NoCarriedState(model)
