"""What it costs to prove that the ranks hold one model.

    horovodrun -np 2 python benchmarks/sync_check.py --output results.json

The first table is one comparison of the whole state (weights, statistics, Adam's slots) over the ranks, by model. The
second is training with a comparison every `--every` steps, and training without. Both take turns. `ratio` is the median
over the rounds of the time with comparisons divided by the time without in the same round, with its quartiles. Next to
it is the ratio that is expected from the time of one comparison and the time of a step.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import tfdl
from tfdl.distributed import World
from tfdl.distributed.fingerprints import Fingerprints
from tfdl.distributed.replicated import replicated_weights
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

# Models of 0.3, 26 and 124 million parameters.
MODELS: dict[str, dict[str, Any]] = {
    "cnn": {"input_shape": (24, 24, 3), "num_classes": 10},
    "resnet50": {"input_shape": (64, 64, 3), "num_classes": 1000},
    "gpt2": {"vocab_size": 50257},
}
BATCH = 64
STEPS_PER_EXECUTION = 20


def main() -> None:
    """Measures both tables on every rank; the chief prints and writes its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=200, help="steps between two comparisons")
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured")
    parser.add_argument("--models", nargs="*", default=list(MODELS), help="rows of the first table")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    world = tfdl.distributed.init()
    rows = [measure_check(name, world, arguments.rounds) for name in arguments.models]
    training = measure_training(world, arguments.every, arguments.rounds)
    if not world.is_chief:
        return
    show(rows, training, world)
    if arguments.output:
        machine = {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "ranks": world.size}
        arguments.output.write_text(json.dumps({**machine, "checks": rows, "training": training}, indent=2) + "\n")


def measure_check(name: str, world: World, rounds: int) -> dict[str, Any]:
    """Measures one comparison of a model and its optimizer.

    Args:
        name: a key of ``MODELS``.
        world: all ranks.
        rounds: how often it is measured.

    Returns:
        A row of the first table.
    """
    model = tfdl.build_model(name, **MODELS[name])
    optimizer = tfdl.build_optimizer()
    optimizer.build(model.trainable_variables)
    variables = [*replicated_weights(model), *optimizer.variables]
    tfdl.distributed.broadcast_state(variables, world)
    fingerprints = Fingerprints(variables)
    fingerprints.check(world, "the start")  # traces
    digest_seconds = [seconds(fingerprints.digests) for _ in range(rounds)]
    check_seconds = measure_checks(fingerprints, world, rounds)
    return {
        "model": name,
        "parameters": model.count_params(),
        "variables": len(variables),
        "megabytes": sum(np.asarray(variable).nbytes for variable in variables) / 1e6,
        "digest_ms": 1000 * statistics.median(digest_seconds),
        "check_ms": 1000 * statistics.median(check_seconds),
    }


def measure_training(world: World, every: int, rounds: int) -> dict[str, Any]:
    """Measures training of a CNN with and without comparisons.

    Args:
        world: all ranks.
        every: steps before a comparison.
        rounds: how often each is measured.

    Returns:
        The second table.
    """
    task = ImageClassification((24, 24, 3), tuple("0123456789"), resized=False)
    model = tfdl.build_model("cnn", **task.model_arguments)
    trainer = Trainer(model, tfdl.build_optimizer(), task, world)
    tfdl.distributed.broadcast_state(trainer.variables, world)
    fingerprints = Fingerprints([*replicated_weights(model), *trainer.update_variables])
    batches = iter(tf.data.Dataset.from_tensors(random_batch(world.rank)).cache().repeat())

    def steps() -> None:
        for _ in range(every // STEPS_PER_EXECUTION):
            trainer.run(batches, STEPS_PER_EXECUTION)
            trainer.take_sums()

    def steps_and_check() -> None:
        steps()
        fingerprints.check(world, "now")

    steps_and_check()  # traces
    without: list[float] = []
    ratios: list[float] = []
    for turn in range(rounds):
        order = (steps, steps_and_check) if turn % 2 else (steps_and_check, steps)
        times = {function: seconds_of_ranks(function, world) for function in order}
        without.append(times[steps])
        ratios.append(times[steps_and_check] / times[steps])
    check_seconds = statistics.median(measure_checks(fingerprints, world, rounds))
    steps_seconds = statistics.median(without)
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "step_ms": 1000 * steps_seconds / every,
        "ratio": statistics.median(ratios),
        "quartiles": [low, high],
        "expected": 1 + check_seconds / steps_seconds,
        "every": every,
    }


def random_batch(seed: int) -> dict[str, np.ndarray]:
    """Draws a batch of images."""
    generator = np.random.default_rng(seed)
    return {
        "image": generator.integers(0, 256, (BATCH, 24, 24, 3), np.uint8),
        "label": generator.integers(0, 10, BATCH).astype(np.int32),
        "weight": np.ones(BATCH, np.float32),
    }


def measure_checks(fingerprints: Fingerprints, world: World, rounds: int) -> list[float]:
    """Returns the seconds of so many comparisons."""
    return [seconds_of_ranks(lambda: fingerprints.check(world, "now"), world) for _ in range(rounds)]


def seconds(function: Callable[[], Any]) -> float:
    """Returns the seconds of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def seconds_of_ranks(function: Callable[[], Any], world: World) -> float:
    """Returns the seconds of a call that all ranks begin together."""
    world.barrier()
    return seconds(function)


def show(rows: list[dict[str, Any]], training: dict[str, Any], world: World) -> None:
    """Prints both tables.

    Args:
        rows: results of ``measure_check``.
        training: result of ``measure_training``.
        world: all ranks.
    """
    console = Console(highlight=False)
    table = Table(title=f"one comparison over {world.size} ranks", title_justify="left")
    for column in ("model", "parameters", "variables", "state", "digest", "comparison"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        table.add_row(
            row["model"],
            f"{row['parameters']:,}",
            str(row["variables"]),
            f"{row['megabytes']:,.1f} MB",
            f"{row['digest_ms']:.1f} ms",
            f"{row['check_ms']:.1f} ms",
        )
    console.print(table)
    low, high = training["quartiles"]
    console.print(
        f"cnn, batch {BATCH} a rank, {training['step_ms']:.2f} ms a step: {training['every']} steps with a comparison"
        f" take {training['ratio']:.4f} times those without ({low:.4f} to {high:.4f}); expected"
        f" {training['expected']:.4f}"
    )


main()
