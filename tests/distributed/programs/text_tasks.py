"""Trains a classifier of texts and a translator in float64 on all ranks, then alone on the whole batches; as JSON, the
largest difference of any weight, and the metrics of either evaluation.

Batches are of unequal texts and the last one is short. The control leaves it to each rank to average over its own
tokens, which is another model.
"""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl import distributed
from tfdl.config import TASKS, compose
from tfdl.data import training_batches
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world
from tfdl.evaluation import evaluator_for
from tfdl.training import Trainer
from tfdl.training.opening import open_data
from tfdl.training.python_parts import PythonParts

GLOBAL_BATCH, STEPS = 12, 9
SPLITS = {"dataset.validation_split": "validation[:70]", "dataset.test_split": "test[:5]"}
CASES: dict[str, dict[str, Any]] = {
    "text-classification": {
        "task": "text-classification", "tokenizer": "byte", "dataset.sequence_length": 40, "model.units": 8,
        "model.dropout": 0.0, "dataset.train_split": "train[:53]", **SPLITS,
    },
    "translation": {
        "task": "translation", "model.num_layers": 1, "model.hidden_dim": 16, "model.num_heads": 2,
        "label_smoothing": 0.1, "dataset.train_split": "train[:53]", **SPLITS,
    },
}  # fmt: skip


class PlainMean:
    """A task whose losses each rank averages over its own tokens."""

    def __init__(self, task: Any):
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def losses(self, batch: Any, logits: Any) -> Any:
        losses, weights = self._task.losses(batch, logits)
        return losses, tf.math.divide_no_nan(weights, tf.reduce_sum(weights))


def trained(world: World, case: str, plain_mean: bool = False) -> tuple[list[np.ndarray], dict[str, float]]:
    """The weights after some steps, and the metrics of the validation split."""
    set_current_world(world)
    config = compose(CASES[case])
    task, sources = open_data(config, world, PythonParts()) if world.size > 1 else TASKS.load(case).open(config)
    keras.utils.set_random_seed(0)
    model = tfdl.build_model(config.model, **task.model_arguments)
    optimizer = tfdl.build_optimizer("adam", learning_rate=0.01, clip_norm=1.0)
    trainer = Trainer(model, optimizer, PlainMean(task) if plain_mean else task, world)
    batches = training_batches(
        sources["train"],
        batch_size=GLOBAL_BATCH // world.size,
        seed=0,
        shard_index=world.rank,
        num_shards=world.size,
    )
    trainer.run(iter(batches), STEPS)
    metrics = evaluator_for(model, task).metrics(sources["validation"], world)
    return [np.asarray(variable) for variable in model.weights], metrics


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def main() -> None:
    keras.config.set_dtype_policy("float64")
    world = distributed.init()
    found: dict[str, Any] = {}
    for case in CASES:
        together, metrics = trained(world, case)
        control = trained(world, case, plain_mean=True)[0] if case == "translation" else None
        if world.is_chief:
            alone, metrics_alone = trained(SingleWorld(), case)
            found[case] = {"weights": distance(together, alone), "together": metrics, "alone": metrics_alone}
            if control is not None:
                found["plain mean"] = distance(control, alone)
        set_current_world(world)
        world.barrier()
    if world.is_chief:
        print(json.dumps(found), flush=True)


main()
