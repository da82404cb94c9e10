"""``differing_ranks.py FOLDER``: runs in which a user's objects differ on the ranks; prints how each run ends.

Every rank prints a JSON mapping of case to the error's text, which is empty for a run that is done.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tfdl
from tfdl import distributed

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


@keras.saving.register_keras_serializable(package="differing")
class Centred(keras.layers.Layer):
    """Subtracts a running mean, which each rank updates by its own samples."""

    def build(self, input_shape: Any) -> None:
        self.mean = self.add_weight(name="running", shape=input_shape[-1:], initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(inputs, 0))
        return inputs - self.mean


class Notes(keras.callbacks.Callback):
    """Runs on rank 0 only, and needs its ``on_train_begin``."""

    chief_only = True

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.notes: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.notes.append(epoch)

    def get_state(self) -> dict[str, Any]:
        return {"notes": self.notes}

    def set_state(self, state: dict[str, Any]) -> None:
        self.notes.extend(state["notes"])


def train(output: Path, *layers: Any, callbacks: Any = (), data: Any = None, epochs: int = 2, **options: Any) -> str:
    """Trains, and returns the error's text; empty without one."""

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input([3]), *layers, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.3), "mse")
        return model

    config = tfdl.TrainConfig(epochs=epochs, batch_size=4, watchdog_timeout=30)
    data = data or {"train": (X, Y), "validation": (X, Y)}
    try:
        tfdl.train(config, output, model=build, data=data, callbacks=callbacks, **options)
    except (tfdl.UserError, tfdl.RunError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    folder = Path(sys.argv[1])
    world = distributed.init()
    stopping = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=0, restore_best_weights=True)
    outcomes = {
        "restored on rank 0": train(folder / "restored", callbacks=[stopping] if world.is_chief else []),
        "running mean": train(folder / "mean", Centred(), epochs=1),
        "shards": train(folder / "shards", data={"train": (X[world.rank :: 2], Y[world.rank :: 2])}),
        "notes": train(folder / "notes", callbacks=[Notes()], epochs=1),
    }
    notes = Notes()
    outcomes["notes resumed"] = train(folder / "notes", callbacks=[notes], epochs=2, resume=True)
    outcomes["notes kept"] = str(getattr(notes, "notes", None))
    all_outcomes = world.all_gather_object(outcomes)
    if world.is_chief:
        print(json.dumps(all_outcomes), flush=True)


if __name__ == "__main__":
    main()
