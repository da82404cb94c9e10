"""What it costs to prove that the ranks hold one model.

    horovodrun -np 2 python benchmarks/sync_check.py --output results.json

The first table is one comparison of the whole state (weights, statistics, Adam's slots) over the ranks, by model. The
second is training with the comparison, every `--every` steps, against training without it: both take turns, and `ratio`
is the median over the rounds of the time with it by the time without it in the same round, with the quartiles beside
it. What the ratio should be, from the first table's kind of measurement and the time of a step, stands next to it.
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


def main() -> None:
    """Measures both tables on every rank, and shows and writes the chief's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=200, help="steps between two comparisons")
    parser.add_argument("--rounds", type=int, default=9, help="times that each is measured")
    parser.add_argument("--models", nargs="*", default=list(MODELS), help="rows of the first table")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    arguments = parser.parse_args()
    world = tfdl.distributed.init()
    rows = [one_check(name, world, arguments.rounds) for name in arguments.models]
    training = with_and_without(world, arguments.every, arguments.rounds)
    if not world.is_chief:
        return
    show(rows, training, world)
    if arguments.output:
        machine = {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "ranks": world.size}
        arguments.output.write_text(json.dumps({**machine, "checks": rows, "training": training}, indent=2) + "\n")


def one_check(name: str, world: World, rounds: int) -> dict[str, Any]:
    model = tfdl.build_model(name, **MODELS[name])
    optimizer = tfdl.build_optimizer()
    optimizer.build(model.trainable_variables)
    variables = [*replicated_weights(model), *optimizer.variables]
    tfdl.distributed.broadcast_state(variables, world)
    fingerprints = Fingerprints(variables)
    fingerprints.check(world, "the start")  # traces
    digest = [seconds(fingerprints.digests) for _ in range(rounds)]
    check = [timed_together(lambda: fingerprints.check(world, "now"), world) for _ in range(rounds)]
    return {
        "model": name,
        "parameters": model.count_params(),
        "variables": len(variables),
        "megabytes": sum(np.asarray(variable).nbytes for variable in variables) / 1e6,
        "digest_ms": 1000 * statistics.median(digest),
        "check_ms": 1000 * statistics.median(check),
    }


def with_and_without(world: World, every: int, rounds: int) -> dict[str, Any]:
    task = ImageClassification((24, 24, 3), tuple("0123456789"), resized=False)
    model = tfdl.build_model("cnn", **task.model_arguments)
    trainer = Trainer(model, tfdl.build_optimizer(), task, world)
    tfdl.distributed.broadcast_state(trainer.variables, world)
    fingerprints = Fingerprints([*replicated_weights(model), *trainer.update_variables])
    random = np.random.default_rng(world.rank)
    batch = {
        "image": random.integers(0, 256, (BATCH, 24, 24, 3), np.uint8),
        "label": random.integers(0, 10, BATCH).astype(np.int32),
        "weight": np.ones(BATCH, np.float32),
    }
    batches = iter(tf.data.Dataset.from_tensors(batch).cache().repeat())

    def steps() -> None:
        for _ in range(every // 20):
            trainer.run(batches, 20)
            trainer.take_sums()

    def steps_and_check() -> None:
        steps()
        fingerprints.check(world, "now")

    steps_and_check()  # traces
    pairs = []
    for turn in range(rounds):
        order = (steps, steps_and_check) if turn % 2 else (steps_and_check, steps)
        taken = {function: timed_together(function, world) for function in order}
        pairs.append((taken[steps], taken[steps_and_check]))
    check = statistics.median(timed_together(lambda: fingerprints.check(world, "now"), world) for _ in range(rounds))
    without = statistics.median(first for first, _ in pairs)
    return {
        "step_ms": 1000 * without / every,
        "ratio": statistics.median(second / first for first, second in pairs),
        "quartiles": statistics.quantiles([second / first for first, second in pairs], n=4)[::2],
        "expected": 1 + check / without,
        "every": every,
    }


def seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def timed_together(function: Callable[[], Any], world: World) -> float:
    """From the moment that every rank is there."""
    world.barrier()
    return seconds(function)


def show(rows: list[dict[str, Any]], training: dict[str, Any], world: World) -> None:
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
