"""Trains a custom Keras model on NumPy arrays, with EarlyStopping and ReduceLROnPlateau; prints the results as JSON.

``own_keras_model.py KIND OUTPUT [--resume] [--die-at EPOCH]``, where KIND is ``sequential``, ``subclassed``,
``adapted`` (to the same data on every rank) or ``adapted-apart`` (each rank to its own data). Several kinds with commas
between them are trained one after the other, into OUTPUT-KIND. All numbers are float64, so that one and two ranks can
be compared. With ``--die-at`` the process is killed when that epoch ends, before its checkpoint.
"""

import argparse
import json
import os
import signal
from typing import Any

import keras
import numpy as np

import tfdl
from tfdl import distributed

EPOCHS = 12
GLOBAL_BATCH = 32


@keras.saving.register_keras_serializable(package="own")
class Residual(keras.Model):
    """Two dense layers around a shortcut."""

    def __init__(self, units: int, num_classes: int, **options: Any):
        super().__init__(**options)
        self.units = units
        self.num_classes = num_classes
        self.widen = keras.layers.Dense(units, "tanh")
        self.inner = keras.layers.Dense(units, "tanh")
        self.head = keras.layers.Dense(num_classes)

    def call(self, inputs: Any) -> Any:
        wide = self.widen(inputs)
        return self.head(wide + self.inner(wide))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "num_classes": self.num_classes}


def build(kind: str, rank: int) -> keras.Model:
    if kind == "subclassed":
        model: keras.Model = Residual(16, 3)
    else:
        layers = [keras.layers.Dense(16, "tanh"), keras.layers.Dense(3)]
        if kind.startswith("adapted"):
            normalization = keras.layers.Normalization()
            normalization.adapt(arrays(200, 1 + rank if kind == "adapted-apart" else 1)[0])
            layers.insert(0, normalization)
        model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.SGD(0.5, momentum=0.5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def arrays(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 5))
    matrix = np.random.default_rng(0).normal(size=(5, 3))  # the same for every split
    noise = generator.normal(scale=0.5, size=(count, 3))
    scores = x @ matrix + noise  # (count, 3)
    return x, scores.argmax(1)


class DieAtEpoch(keras.callbacks.Callback):
    """Simulates a power cut."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("output")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--die-at", type=int)
    options = parser.parse_args()
    world = distributed.init()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    kinds = options.kind.split(",")
    for kind in kinds:
        output = options.output if len(kinds) == 1 else f"{options.output}-{kind}"
        train(world, kind, output, options.resume, options.die_at)


def train(world: distributed.World, kind: str, output: str, resume: bool, die_at: int | None) -> None:
    stopping = keras.callbacks.EarlyStopping(patience=3, min_delta=0.002, restore_best_weights=True)
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=0.01)
    # Both ranks may have a callback that writes, or rank 0 alone.
    callbacks: list[Any] = [plateau, stopping, keras.callbacks.TensorBoard(f"{output}-tensorboard")]
    if world.is_chief:
        callbacks.insert(0, keras.callbacks.CSVLogger(f"{output}.csv"))
    if die_at is not None:
        callbacks.append(DieAtEpoch(die_at))
    run = tfdl.train(
        tfdl.TrainConfig(epochs=EPOCHS, batch_size=GLOBAL_BATCH // world.size, steps_per_execution=4, seed=3),
        output,
        model=lambda: build(kind, world.rank),
        data={"train": arrays(200, 1), "validation": arrays(60, 2), "test": arrays(70, 3)},
        callbacks=callbacks,
        resume=resume,
    )
    # The callbacks must decide alike on every rank.
    decisions = (stopping.stopped_epoch, stopping.best_epoch, float(stopping.best), plateau.cooldown_counter)
    all_decisions = world.all_gather_object(decisions)
    if world.is_chief:
        print(json.dumps({"summary": run.read_summary(), "decisions": all_decisions}), flush=True)


if __name__ == "__main__":
    main()
