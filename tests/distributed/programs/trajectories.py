"""Trains a CNN, an LSTM and a Transformer for 20 steps and prints the distance to one process, as JSON.

``trajectories.py FOLDER`` on one rank writes FOLDER/one.npz. It prints the distance of one process to itself when the
samples of each batch are in another order, which is the accuracy that float32 allows. On several ranks it prints the
distance to that file. On two it also trains twice with dropout and prints digests of the weights. On four, only the
CNN trains in float32: it also synchronizes batch statistics, and on two ranks all families do it.

Of 195 samples in batches of 16, the last batch of an epoch has three. On four ranks one rank has none of them.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from next_byte import LENGTH, VOCAB_SIZE, NextByte, text_source
from sklearn.datasets import load_digits

import tfdl
from tfdl import distributed
from tfdl.data import ArraySource, training_batches
from tfdl.distributed.state import fold_rank_into_seeds, seed_generators
from tfdl.models import compute_precision
from tfdl.runs import weights_sha256
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

GLOBAL_BATCH = 16
STEPS = 20
SAMPLES = 195
PRECISIONS = ("float64", "float32")
# Other orders of the samples in a batch.
ORDERS: dict[str, Callable[[Any], Any]] = {
    "halves swapped": lambda value: tf.roll(value, tf.shape(value)[0] // 2, 0),
    "reversed": lambda value: value[::-1],
}
SIZES: dict[str, dict[str, Any]] = {
    "cnn": {"filters": (4, 8), "units": 16},
    "rnn": {"units": 16, "num_layers": 1},
    "transformer": {"hidden_dim": 16, "num_heads": 2, "num_layers": 2, "sequence_length": LENGTH},
}


@dataclass(frozen=True)
class Trajectory:
    """The losses of all steps, and the weights after the last."""

    losses: np.ndarray
    weights: list[np.ndarray]

    def distance(self, other: "Trajectory") -> dict[str, float]:
        """The largest difference of any step's loss and of any weight."""
        losses = np.abs(self.losses - other.losses).max()
        weights = [np.abs(a - b).max() for a, b in zip(self.weights, other.weights, strict=True)]
        return {"losses": float(losses), "weights": float(max(weights))}


class Case:
    """A model and its training, which can start again from the same state.

    Args:
        family: A key of SIZES.
        precision: The name of a Keras dtype policy.
        dropout: The rate of the model's dropout.
        plain_mean: Whether each rank averages the loss over its own tokens (the control).
    """

    def __init__(self, family: str, precision: str, dropout: float = 0.0, plain_mean: bool = False):
        self.world = distributed.current_world()
        task: Any
        if family == "cnn":
            digits = load_digits()
            images = (digits.images[:SAMPLES, :, :, np.newaxis] * 15).astype(np.uint8)
            self.source = ArraySource({"image": images, "label": digits.target[:SAMPLES].astype(np.int32)})
            task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
            arguments = task.model_arguments
        else:
            self.source = text_source(SAMPLES)
            task = NextByte(plain_mean)
            arguments = {"vocab_size": VOCAB_SIZE}
        keras.utils.set_random_seed(0)
        with compute_precision(precision):
            self.model = tfdl.build_model(family, dropout=dropout, **SIZES[family], **arguments)
        fold_rank_into_seeds(seed_generators(self.model), self.world.rank)
        optimizer = tfdl.build_optimizer("adam", learning_rate=1e-2, clip_norm=1.0)
        self.trainer = Trainer(self.model, optimizer, task, self.world)
        self._start = [np.asarray(variable) for variable in self.trainer.variables]

    def train(self, order: Callable[[Any], Any] | None = None) -> Trajectory:
        """Trains from the initial state, with the samples of each batch in the given order."""
        for variable, value in zip(self.trainer.variables, self._start, strict=True):
            variable.assign(value)
        batches = training_batches(
            self.source,
            batch_size=GLOBAL_BATCH // self.world.size,
            seed=0,
            shard_index=self.world.rank,
            num_shards=self.world.size,
        )
        if order is not None:
            batches = batches.map(lambda batch: {name: order(value) for name, value in batch.items()})
        iterator = iter(batches)
        losses = []
        for _ in range(STEPS):
            self.trainer.run(iterator, 1)
            total, *_, weight = self.trainer.take_sums()
            losses.append(total / weight)
        return Trajectory(np.array(losses), [np.asarray(weight) for weight in self.model.weights])


def run_alone(folder: Path) -> dict[str, Any]:
    """Saves the trajectories of one process, and returns their distances to those with other orders."""
    distances = {}
    saved = {}
    for family in SIZES:
        for precision in PRECISIONS:
            name = f"{family} {precision}"
            case = Case(family, precision)
            trajectory = case.train()
            saved[f"{name} losses"] = trajectory.losses
            for number, weight in enumerate(trajectory.weights):
                saved[f"{name} weight {number:03}"] = weight
            by_order = [trajectory.distance(case.train(order)) for order in ORDERS.values()]
            distances[name] = {
                "losses": max(distance["losses"] for distance in by_order),
                "weights": max(distance["weights"] for distance in by_order),
            }
    np.savez(folder / "one.npz", **saved)
    return distances


def run_together(folder: Path) -> dict[str, Any]:
    """The distances of these ranks' trajectories to those of one process."""
    world = distributed.current_world()
    saved = np.load(folder / "one.npz")

    def distance_to_one(family: str, precision: str, **changes: Any) -> dict[str, float]:
        case = Case(family, precision, **changes)
        trajectory = case.train()
        digests = world.all_gather_object(weights_sha256(case.model))
        assert len(set(digests)) == 1, "the ranks' weights differ"
        name = f"{family} {precision}"
        weights = [saved[key] for key in sorted(saved) if key.startswith(f"{name} weight")]
        return trajectory.distance(Trajectory(saved[f"{name} losses"], weights))

    distances = {}
    for family in SIZES:
        for precision in PRECISIONS:
            if world.size == 2 or precision == "float64" or family == "cnn":
                distances[f"{family} {precision}"] = distance_to_one(family, precision)
    if world.size == 2:
        distances["plain mean"] = distance_to_one("transformer", "float64", plain_mean=True)
    return distances


def run_with_dropout() -> dict[str, list[str]]:
    """Digests of the weights after two trainings from one state, by family.

    The ranks' weights must be equal, and their random streams must differ.
    """
    digests: dict[str, list[str]] = {}
    for family in SIZES:
        case = Case(family, "float32", dropout=0.3)
        digests[family] = []
        for _ in range(2):
            case.train()
            digest = weights_sha256(case.model)
            states = [np.asarray(generator.state).tolist() for generator in seed_generators(case.model)]
            digests_by_rank = case.world.all_gather_object(digest)
            states_by_rank = case.world.all_gather_object(str(states))
            assert len(set(digests_by_rank)) == 1, "the ranks' weights differ"
            assert len(set(states_by_rank)) == case.world.size, "ranks drop the same values"
            digests[family].append(digest)
    return digests


def main() -> None:
    folder = Path(sys.argv[1])
    world = distributed.init()
    results: dict[str, Any] = run_alone(folder) if world.size == 1 else run_together(folder)
    if world.size == 2:
        results["dropout"] = run_with_dropout()
    if world.is_chief:
        print(json.dumps(results), flush=True)


main()
