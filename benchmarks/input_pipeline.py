"""Whether the model ever waits for its data.

    python benchmarks/input_pipeline.py --rounds 20 --output results.json

For every default of `tfdl train`, and the smallest residual network, on one process:

- `delivers`: samples per second of the input pipeline alone, which shuffles, reads, changes at random and batches, as a
  multiple of what training consumes. Below 1 the model would wait.
- `fed`: time of a training step that the pipeline feeds, to the same compiled step fed one batch again and again.
  Both run the same number of steps, over the ends of epochs. (Not of texts of many lengths, whose batches differ.)

The three take turns; medians over the rounds, with quartiles.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tfdl.config import TrainConfig, compose
from tfdl.distributed import SingleWorld
from tfdl.models import build_model
from tfdl.optimizers import Adam
from tfdl.runs import Progress
from tfdl.tasks import TASKS
from tfdl.training.carried_state import CarriedState
from tfdl.training.fit import FitPlan, open_batches
from tfdl.training.trainer import Trainer

CASES: dict[str, dict[str, Any]] = {
    "cnn, digits, affine": {"model": "cnn"},
    "resnet20, digits, crop and flip": {"model": "resnet20", "dataset": {"augmentation": ["crop", "flip"]}},
    "rnn, python_topics": {"model": "rnn"},
    "transformer, python_topics": {"model": "transformer"},
    "rnn, docstrings": {"model": "rnn", "task": "text-classification"},
    "transformer, dates": {"task": "translation"},
}
VARYING = ("docstrings", "dates")
"""Data whose batches have many lengths."""

Run = Callable[[int], None]


def main() -> None:
    """Measures every case, prints the table, and writes it to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="times that each is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long one measurement is")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    table = Table("case", "batch", "ms a step", "trains samples/s", "delivers", "fed", "quartiles")
    rows = []
    for name, values in CASES.items():
        if options.only not in name:
            continue
        row = measured(name, compose(values), options.rounds, options.seconds)
        rows.append(row)
        fed = "" if row["fed"] is None else f"{row['fed'][1]:.3f}"
        quartiles = "" if row["fed"] is None else f"{row['fed'][0]:.3f} to {row['fed'][2]:.3f}"
        speed, delivers = f"{row['samples_per_second']:,.0f}", f"{row['delivers'][1]:.1f}"
        table.add_row(name, str(row["batch"]), f"{row['milliseconds']:.2f}", speed, delivers, fed, quartiles)
    Console(width=110).print(table)
    if options.output:
        settings = {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "rounds": options.rounds,
        }
        options.output.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def measured(name: str, config: TrainConfig, rounds: int, seconds: float) -> dict[str, Any]:
    """The figures of one case."""
    keras.utils.set_random_seed(0)
    task, sources = TASKS[config.task].open(config)
    model = build_model(config.model, **task.model_arguments)
    carried = CarriedState(model, config.batch_size, SingleWorld()) if task.carries_state else None
    trainer = Trainer(model, Adam(), task, SingleWorld(), carried=carried)
    plan = FitPlan(sources["train"], config.batch_size, config.seed, config.steps_per_execution, None, 1)
    batches = open_batches(plan, trainer, Progress())
    runs = {"fed": trains(trainer, iter(batches)), "alone": reads(iter(batches))}
    if not any(word in name for word in VARYING):
        runs["one batch"] = trains(trainer, iter(one_batch(batches)))
    taken = in_turns(runs, rounds, seconds)
    step = taken["fed"]
    return {
        "case": name,
        "batch": config.batch_size,
        "milliseconds": 1e3 * statistics.median(step),
        "samples_per_second": config.batch_size / statistics.median(step),
        "delivers": ratios(step, taken["alone"]),
        "fed": ratios(step, taken["one batch"]) if "one batch" in taken else None,
    }


def trains(trainer: Trainer, iterator: Any) -> Run:
    def run(num_steps: int) -> None:
        trainer.run(iterator, num_steps)
        trainer.take_sums()  # waits for the last step

    return run


def reads(iterator: Any) -> Run:
    @tf.function
    def steps(num_steps: Any) -> Any:
        total = 0.0
        for _ in tf.range(num_steps):
            batch = next(iterator)
            total += tf.reduce_sum(batch["weight"])
        return total

    def run(num_steps: int) -> None:
        float(steps(tf.constant(num_steps)))

    return run


def one_batch(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The first batch without end, of shapes as open as the pipeline's: the same compiled step takes it."""
    first = next(iter(batches))

    def open_shapes(batch: Mapping[str, Any]) -> dict[str, Any]:
        shape = {name: spec.shape for name, spec in batches.element_spec.items()}
        return {name: tf.compat.v1.placeholder_with_default(value, shape[name]) for name, value in batch.items()}

    fixed = tf.data.Dataset.from_tensors(first).repeat().map(open_shapes).prefetch(4)
    options = tf.data.Options()
    options.autotune.enabled = False
    return fixed.with_options(options)


def in_turns(runs: dict[str, Run], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of a step, a list over the rounds; all that train do as many steps."""
    counts, order, taken = {}, list(runs), {name: [] for name in runs}
    for name, run in runs.items():
        run(3)  # traces, and warms up
        counts[name] = max(3, round(seconds / timed(run, 10)))
    if "one batch" in counts:
        counts["one batch"] = counts["fed"]
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            taken[name].append(timed(runs[name], counts[name]))
    return taken


def timed(run: Run, num_steps: int) -> float:
    """Seconds of one of so many steps."""
    begin = time.perf_counter()
    run(num_steps)
    return (time.perf_counter() - begin) / num_steps


def ratios(times: list[float], others: list[float]) -> list[float]:
    """Quartiles of the rounds' ratios."""
    return statistics.quantiles([mine / other for mine, other in zip(times, others, strict=True)], n=4)


if __name__ == "__main__":
    main()
