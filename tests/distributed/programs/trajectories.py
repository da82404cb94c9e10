"""Trains a CNN, an LSTM and a Transformer for 20 steps and prints how far from one process it came, as JSON.

``trajectories.py FOLDER`` on one rank writes FOLDER/one.npz, and prints how far one process comes from itself when the
samples of its batches stand in another order: no computation in float32 can be asked to be nearer. On several ranks it
compares with that file. On four it also trains twice with dropout and prints digests of the weights.

195 samples in batches of 16: the last batch of an epoch has three, and on four ranks one rank has none of them.
"""

import json
import sys
from collections.abc import Callable
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

GLOBAL_BATCH, STEPS, SAMPLES = 16, 20, 195
ORDERS: dict[str, Callable[[Any], Any]] = {
    "halves swapped": lambda value: tf.roll(value, tf.shape(value)[0] // 2, 0),
    "reversed": lambda value: value[::-1],
}
SIZES: dict[str, dict[str, Any]] = {
    "cnn": {"filters": (4, 8), "units": 16},
    "rnn": {"units": 16, "num_layers": 1},
    "transformer": {"hidden_dim": 16, "num_heads": 2, "num_layers": 2, "sequence_length": LENGTH},
}


class Case:
    """A model and its training, which can start over."""

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
            self.source, task, arguments = text_source(SAMPLES), NextByte(plain_mean), {"vocab_size": VOCAB_SIZE}
        keras.utils.set_random_seed(0)
        with compute_precision(precision):
            self.model = tfdl.build_model(family, dropout=dropout, **SIZES[family], **arguments)
        fold_rank_into_seeds(seed_generators(self.model), self.world.rank)
        optimizer = tfdl.build_optimizer("adam", learning_rate=1e-2, clip_norm=1.0)
        self.trainer = Trainer(self.model, optimizer, task, self.world)
        self._start = [np.asarray(variable) for variable in self.trainer.variables]

    def train(self, order: Callable[[Any], Any] | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """The losses of all steps, and the weights after them; from the start, whatever was trained before."""
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
        iterator, losses = iter(batches), []
        for _ in range(STEPS):
            self.trainer.run(iterator, 1)
            total, *_, weight = self.trainer.take_sums()
            losses.append(total / weight)
        return np.array(losses), [np.asarray(weight) for weight in self.model.weights]


def distance(one: tuple[np.ndarray, list[np.ndarray]], other: tuple[np.ndarray, list[np.ndarray]]) -> dict[str, float]:
    """The largest difference of any step's loss and of any weight."""
    weights = max(float(np.abs(a - b).max()) for a, b in zip(one[1], other[1], strict=True))
    return {"losses": float(np.abs(one[0] - other[0]).max()), "weights": weights}


def run_alone(folder: Path) -> dict[str, Any]:
    found, kept = {}, {}
    for family in SIZES:
        for precision in ("float64", "float32"):
            case = Case(family, precision)
            losses, weights = case.train()
            kept[f"{family} {precision} losses"] = losses
            kept |= {f"{family} {precision} {place:03}": weight for place, weight in enumerate(weights)}
            moved = [distance((losses, weights), case.train(order)) for order in ORDERS.values()]
            found[f"{family} {precision}"] = {what: max(one[what] for one in moved) for what in ("losses", "weights")}
    np.savez(folder / "one.npz", **kept)
    return found


def run_together(folder: Path) -> dict[str, Any]:
    world = distributed.current_world()
    kept = np.load(folder / "one.npz")

    def from_alone(family: str, precision: str, **changes: Any) -> dict[str, float]:
        case = Case(family, precision, **changes)
        trained = case.train()
        digests = world.all_gather_object(weights_sha256(case.model))
        assert len(set(digests)) == 1, "the ranks' weights differ"
        name = f"{family} {precision} "
        weights = [kept[key] for key in sorted(kept) if key.startswith(name) and key != f"{name}losses"]
        return distance(trained, (kept[f"{name}losses"], weights))

    found = {
        f"{family} {precision}": from_alone(family, precision)
        for family in SIZES
        for precision in ("float64", "float32")
    }
    if world.size == 2:
        found["plain mean"] = from_alone("transformer", "float64", plain_mean=True)
    return found


def run_with_dropout() -> dict[str, Any]:
    found = {}
    for family in SIZES:
        case = Case(family, "float32", dropout=0.3)
        case.train()
        found[family] = weights_sha256(case.model)
        states = [np.asarray(generator.state).tolist() for generator in seed_generators(case.model)]
        everyone = case.world.all_gather_object((found[family], states))
        assert len({digest for digest, _ in everyone}) == 1, "the ranks' weights differ"
        assert len({str(states) for _, states in everyone}) == case.world.size, "ranks drop the same values"
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    world = distributed.init()
    results: dict[str, Any] = run_alone(folder) if world.size == 1 else run_together(folder)
    if world.size == 4:
        results["dropout"] = [run_with_dropout(), run_with_dropout()]
    if world.is_chief:
        print(json.dumps(results), flush=True)


main()
