"""Trains a classifier of texts and a translator in float64 on all ranks, then alone on the whole batches.

It prints the largest difference of any weight and the metrics of both evaluations, as JSON. The texts of a batch have
unequal lengths, and the last batch is short. In the control each rank averages the loss over its own tokens, which
trains another model.
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

GLOBAL_BATCH = 12
STEPS = 9
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


def train(world: World, case: str, plain_mean: bool = False) -> tuple[list[np.ndarray], dict[str, float]]:
    """Returns the weights after the last step, and the metrics of the validation split (none for the control).

    Args:
        world: The ranks that train.
        case: A key of CASES, which is the name of the task.
        plain_mean: Whether each rank averages the loss over its own tokens (the control).
    """
    set_current_world(world)
    config = compose(CASES[case])
    if world.size > 1:
        task, sources = open_data(config, world, PythonParts())
    else:
        task, sources = TASKS.load(case).open(config)
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
    metrics = {} if plain_mean else evaluator_for(model, task).metrics(sources["validation"], world)
    return [np.asarray(variable) for variable in model.weights], metrics


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def main() -> None:
    keras.config.set_dtype_policy("float64")
    world = distributed.init()
    results: dict[str, Any] = {}
    weights_alone: dict[str, list[np.ndarray]] = {}
    for case in CASES:
        weights, metrics = train(world, case)
        if world.is_chief:
            weights_alone[case], metrics_alone = train(SingleWorld(), case)
            difference = distance(weights, weights_alone[case])
            results[case] = {"weights": difference, "together": metrics, "alone": metrics_alone}
        set_current_world(world)
        world.barrier()
    weights, _ = train(world, "translation", plain_mean=True)
    if world.is_chief:
        results["plain mean"] = distance(weights, weights_alone["translation"])
        print(json.dumps(results), flush=True)


main()
