"""The control: a Keras script that trains the CNN of ``cases.py`` with ``BackupAndRestore``.

It takes the arguments of ``tfdl train``, of which it uses ``--output``, and writes what ``jobs.py`` reads:
``metrics.jsonl`` with the steps, and ``summary.json``.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

from tfdl.runs import weights_sha256

EPOCHS = 17
STEPS_BETWEEN_SAVES = 10


class StepLog(keras.callbacks.Callback):
    """Notes each step."""

    def __init__(self, path: Path):
        super().__init__()
        self.file = path.open("a")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        line = {"kind": "steps", "step": int(self.model.optimizer.iterations), "time": time.time()}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


def build() -> keras.Model:
    """A CNN with augmentation, batch normalization and dropout."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.RandomTranslation(0.1, 0.1, seed=1),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.25, seed=2),
            layers.Dense(10),
        ]
    )


def main() -> None:
    """Trains to the end, resuming what an interrupted process has saved."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path)
    output = parser.parse_known_args()[0].output
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    data = load_digits()
    images = (data.images[..., np.newaxis] / 16).astype(np.float32)
    labels = data.target
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    backup = keras.callbacks.BackupAndRestore(output / "backup", save_freq=STEPS_BETWEEN_SAVES)
    history = model.fit(
        images[:1437],
        labels[:1437],
        batch_size=64,
        epochs=EPOCHS,
        validation_data=(images[1437:], labels[1437:]),
        callbacks=[backup, StepLog(output / "metrics.jsonl")],
        verbose=0,
    )
    validation = {name: values[-1] for name, values in history.history.items()}
    steps = int(model.optimizer.iterations)
    summary = {"weights_sha256": weights_sha256(model), "validation": validation, "test": {}, "steps": steps}
    (output / "summary.json").write_text(json.dumps({**summary, "epochs": EPOCHS}))


main()
