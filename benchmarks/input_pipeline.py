"""Whether a model ever waits for its data, and whether an epoch ever waits for its end.

    python benchmarks/input_pipeline.py --rounds 20 --output results.json

The first table measures the defaults of `tfdl train` and the smallest residual network in one process, with the run's
own pipeline, step function, optimizer and XLA:

- `delivers`: samples per second of the pipeline alone, which orders, reads, augments and batches, divided by those of
  training. At 1 the model would begin to wait.
- `fed`: time of a training step that the pipeline feeds, divided by the time of the same compiled step on batches that
  are kept in memory. These are the batches of one epoch, so that short batches and lengths of texts are the same too.
- `cpu`: the same ratio in processor time, on which other work of the machine has less influence.

The three take turns, over whole epochs where these are short; shown are medians over the rounds, with quartiles. Each
turn begins with untimed steps. A variant leaves as much read ahead at its end as it finds at its start, so its time
contains exactly its own reading.

The second table is from real runs. `steps` is the time of an epoch's steps divided by their number times the run's
median time of a step. `between` is the rest of an epoch: validation, checkpoint and logs. Shown are the median over the
epochs, and the worst. A pipeline that made the end of an epoch wait would show in one of them. The last row is the
control: the same steps from a new iterator for each epoch with TensorFlow's autotuner, as in `keras.Model.fit`. When
such an iterator ends, TensorFlow sometimes waits for the autotuner.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from pipeline_cases import CASES, open_case, trainer_and_batches
from pipeline_epochs import epochs_of_new_iterators, epochs_of_run, epochs_table
from rich.console import Console
from rich.table import Table

from tfdl.training import Trainer

# The runs of the second table: those with the shortest epochs, whose ends matter most.
RUNS = ("cnn, digits, affine", "rnn, docstrings")
# Untimed steps at the start of each turn: more than are ever read ahead.
UNTIMED_STEPS = 8

Run = Callable[[int], object]
"""Runs so many steps."""


@dataclass(frozen=True)
class Row:
    """Results of one case."""

    case: str
    batch: int
    milliseconds: float
    """Median time of a step that the pipeline feeds."""
    samples_per_second: float
    delivers: list[float]
    """Quartiles over the rounds."""
    fed: list[float]
    cpu: list[float]


@dataclass
class StepTimes:
    """Times of one variant's step, one number for each round."""

    seconds: list[float]
    cpu_seconds: list[float]


def main() -> None:
    """Measures every case, prints the tables, and writes them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one measurement is")
    parser.add_argument("--only", default="", help="only the cases whose names contain this text")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    load_at_start = os.getloadavg()[0]
    rows = []
    for name in CASES:
        if options.only in name:
            print(f"measuring {name}", file=sys.stderr)
            rows.append(measure(name, options.rounds, options.seconds))
    Console(width=120).print(table_of(rows))
    runs = [epochs_of_run(name) for name in RUNS if options.only in name]
    control = RUNS[0]
    if options.only in control:
        runs.append(epochs_of_new_iterators(control))
    Console(width=120).print(epochs_table(runs))
    load_at_end = os.getloadavg()[0]
    print(f"load average {load_at_start:.1f} at the start, {load_at_end:.1f} at the end, this program's own included")
    if options.output:
        settings = {
            "cores": len(os.sched_getaffinity(0)),
            "load": [load_at_start, load_at_end],
            "python": platform.python_version(),
            "rounds": options.rounds,
            "seconds": options.seconds,
        }
        result = {
            "settings": settings,
            "rows": [asdict(row) for row in rows],
            "epochs": [asdict(run) for run in runs],
        }
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(name: str, rounds: int, seconds: float) -> Row:
    """Measures one case for the first table.

    Args:
        name: a key of ``CASES``.
        rounds: number of rounds.
        seconds: about how long one measurement is.
    """
    case = open_case(name)
    batch_size = case.config.batch_size
    steps_per_execution = case.config.steps_per_execution
    epoch = case.steps_per_epoch
    trainer, batches = trainer_and_batches(case)
    runs = {
        "fed": training_steps(trainer, iter(batches), steps_per_execution),
        "kept": training_steps(trainer, iter(kept_in_memory(batches, epoch)), steps_per_execution),
        "alone": reading_steps(iter(batches)),
    }
    runs["kept"](epoch)  # fills the memory
    times = time_in_turns(runs, rounds, seconds, epoch)
    fed = times["fed"]
    kept = times["kept"]
    alone = times["alone"]
    step_seconds = statistics.median(fed.seconds)
    samples_per_step = case.source.num_examples / epoch
    return Row(
        case=name,
        batch=batch_size,
        milliseconds=1e3 * step_seconds,
        samples_per_second=samples_per_step / step_seconds,
        delivers=ratio_quartiles(kept.seconds, alone.seconds),
        fed=ratio_quartiles(fed.seconds, kept.seconds),
        cpu=ratio_quartiles(fed.cpu_seconds, kept.cpu_seconds),
    )


def training_steps(trainer: Trainer, iterator: Any, steps_per_execution: int) -> Run:
    """Makes a function that trains as a run does: executions of several steps, and the running sums after each."""

    def run(num_steps: int) -> None:
        for first in range(0, num_steps, steps_per_execution):
            trainer.run(iterator, min(steps_per_execution, num_steps - first))
            trainer.take_sums()

    return run


def reading_steps(iterator: Any) -> Run:
    """Makes a function that takes so many batches from the pipeline, and uses only their weights."""

    @tf.function
    def sum_of_weights(num_steps: Any) -> Any:
        total = 0.0
        for _ in tf.range(num_steps):
            total += tf.reduce_sum(next(iterator)["weight"])
        return total

    def run(num_steps: int) -> float:
        return float(sum_of_weights(tf.constant(num_steps)))

    return run


def kept_in_memory(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Repeats the first batches, kept in memory as tensors. They are prefetched as the pipeline's are."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.take(count).cache().repeat().prefetch(4).with_options(options)


def time_in_turns(runs: dict[str, Run], rounds: int, seconds: float, epoch: int) -> dict[str, StepTimes]:
    """Times every variant once in each round; the order rotates.

    Args:
        runs: "fed", "kept" and "alone".
        rounds: number of rounds.
        seconds: about how long one measurement is.
        epoch: steps of an epoch.

    Returns:
        Name -> times of a step.
    """
    num_steps = {}
    for name, run in runs.items():
        run(min(epoch, 60))  # traces, also for the short batch of an epoch's end, and warms up
        step_seconds, _ = time_steps(run, 10)
        steps = max(3, round(seconds / step_seconds))
        # At least an epoch takes whole epochs, in which every variant has the same batches.
        num_steps[name] = steps if steps < epoch else -(-steps // epoch) * epoch
    num_steps["kept"] = num_steps["fed"]
    order = list(runs)
    times = {name: StepTimes([], []) for name in runs}
    for turn in range(rounds):
        for index in range(len(order)):
            name = order[(turn + index) % len(order)]
            step_seconds, cpu_seconds = time_steps(runs[name], num_steps[name])
            times[name].seconds.append(step_seconds)
            times[name].cpu_seconds.append(cpu_seconds)
    return times


def time_steps(run: Run, num_steps: int) -> tuple[float, float]:
    """Returns the seconds and the processor seconds of one step, after untimed steps."""
    run(UNTIMED_STEPS)
    start = time.perf_counter()
    cpu_start = time.process_time()
    run(num_steps)
    elapsed = time.perf_counter() - start
    cpu_elapsed = time.process_time() - cpu_start
    return elapsed / num_steps, cpu_elapsed / num_steps


def ratio_quartiles(times: list[float], base_times: list[float]) -> list[float]:
    """Returns the quartiles of the rounds' ratios."""
    ratios = [own / base for own, base in zip(times, base_times, strict=True)]
    return statistics.quantiles(ratios, n=4)


def table_of(rows: list[Row]) -> Table:
    """Makes the first table for the terminal."""
    table = Table("case", "batch", "ms a step", "trains samples/s", "delivers", "fed", "quartiles", "cpu", "quartiles")
    for row in rows:
        _, delivers, _ = row.delivers
        cells = [row.case, str(row.batch), f"{row.milliseconds:.2f}", f"{row.samples_per_second:,.0f}"]
        cells.append(f"{delivers:.1f}")
        for low, median, high in (row.fed, row.cpu):
            cells += [f"{median:.3f}", f"{low:.2f}, {high:.2f}"]
        table.add_row(*cells)
    return table


if __name__ == "__main__":
    main()
