"""Trains on several ranks with NaN on rank 1 at step 7: ``diverging.py OUTPUT OPTION...``, into OUTPUT/CASE.

The cases: ``none``, which ends after six steps; ``loss`` of the third sample; ``gradient``, whose loss is finite;
``sample``, where one of the training samples has NaN; and ``return``, whose rate is too large, and which goes back.
Each rank prints a line of JSON: case -> exit code.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl import distributed
from tfdl.cli.main import main
from tfdl.config import compose
from tfdl.distributed import current_world
from tfdl.tasks import ImageClassification

STEP = 7
CASES = ("none", "loss", "gradient", "sample", "return")
BAD_SAMPLE = 17
losses_of_task = ImageClassification.losses
case = ""
passes: tf.Variable


def losses(task, batch, outputs):
    """The task's losses; wrong on rank 1 at step 7, and when that step is examined."""
    values, weights = losses_of_task(task, batch, outputs)
    is_bad = tf.logical_and(passes.assign_add(1) >= STEP, current_world().rank == 1)
    if case == "loss":
        is_third = tf.equal(tf.range(tf.size(values)), 2)
        values = tf.where(tf.logical_and(is_bad, is_third), np.nan, values)
    if case == "gradient":  # a root's slope at 0 is infinite
        zero = tf.reduce_sum(outputs - tf.stop_gradient(outputs))
        values += tf.where(is_bad, tf.sqrt(zero + tf.where(is_bad, 0.0, 1.0)), 0.0)
    return values, weights


def train_line(output: Path) -> None:
    """Trains a line through points, one of which is NaN."""
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.linspace(0, 1, 64, dtype=np.float32)[:, np.newaxis]
    broken = np.where(np.arange(64)[:, np.newaxis] == BAD_SAMPLE, np.nan, x).astype(np.float32)
    data = {"train": (broken, x), "validation": (x, x), "test": (x, x)}
    tfdl.train(tfdl.TrainConfig(batch_size=4, epochs=2), output, model=model, data=data)


def train_with_returns(output: Path, batch_size: int) -> None:
    """Trains a line through equal points with a rate that is six times too large, and goes back until it is not.

    Args:
        output: the run directory.
        batch_size: of a rank.
    """
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1, "linear", False, "zeros")])
    one = np.ones([32, 1], np.float32)
    data = dict.fromkeys(("train", "validation", "test"), (one, 2 * one))
    config = compose(
        {
            "batch_size": batch_size, "steps_per_execution": 3, "epochs": 30, "optimizer": "sgd",
            "optimizer.momentum": 0.0, "optimizer.learning_rate": 6.0, "optimizer.schedule": "constant",
            "optimizer.ema_momentum": 0.5, "on_divergence": "rollback", "max_rollbacks": 9,
        }
    )  # fmt: skip
    tfdl.train(config, output, model=model, task=tfdl.tasks.Objective(loss="mse"), data=data)


def run_cases(output: Path, options: list[str]) -> dict[str, int]:
    """Case -> exit code."""
    global case, passes
    codes: dict[str, int] = {}
    for case in CASES:
        keras.backend.clear_session()
        passes = tf.Variable(0)
        if case == "return":
            train_with_returns(output / case, batch_size=4)
            codes[case] = 0
            continue
        if case == "sample":
            try:
                train_line(output / case)
            except tfdl.RunError as error:
                codes[case] = 1
                if current_world().rank == 0:
                    print(f"tfdl: error: {error}", file=sys.stderr)
            continue
        length = ["--steps", str(STEP - 1)] if case == "none" else ["--epochs", "2"]
        try:
            main(["train", "--output", str(output / case), *length, *options])
        except SystemExit as ended:
            codes[case] = int(ended.code or 0)
    return codes


if __name__ == "__main__":
    ImageClassification.losses = losses  # type: ignore[method-assign]
    distributed.init()
    print(json.dumps(run_cases(Path(sys.argv[1]), sys.argv[2:])), flush=True)
