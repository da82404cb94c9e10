"""Whether a model ever waits for its data, and whether an epoch ever waits for its end.

    python benchmarks/input_pipeline.py --rounds 20 --output results.json

The first table, for the defaults of `tfdl train` and for the smallest residual network, on one process, with the run's
own pipeline, step function, optimizer and XLA:

- `delivers`: samples per second of the pipeline alone, which orders, reads, changes at random and batches, to those of
  training. At 1 the model would begin to wait.
- `fed`: time of a training step that the pipeline feeds, to the same compiled step on tensors that stay the same. These
  are the batches of one epoch, kept, so that short batches and lengths of texts are the same, too. `cpu` is the same
  ratio in processor time, which the machine's other work disturbs less.

The three take turns, over whole epochs where these are short; medians over the rounds, with quartiles. Each turn begins
with untimed steps: what it finds read ahead at its start it leaves read ahead at its end, so nobody's reading is on
another's account.

The second table, from real runs: `steps` is the time of an epoch's steps to their number times the run's median time of
one, and `between` all else in an epoch, which is validation, checkpoint and logs; the median over the epochs, and the
worst. A pipeline that made the end of an epoch wait would show in either. The last row is the control: the same steps
from a new iterator for each epoch with TensorFlow's autotuner, as `keras.Model.fit` does it; to end one, TensorFlow
sometimes waits for the tuner.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import tfdl
from tfdl.config import TASKS, TrainConfig, compose
from tfdl.data import ArraySource, Source
from tfdl.data.order import steps_left
from tfdl.distributed import SingleWorld
from tfdl.models import build_model, compute_precision
from tfdl.runs import Progress
from tfdl.tasks import ImageClassification
from tfdl.training import Callback, Trainer
from tfdl.training.callbacks import EpochReport, StepReport
from tfdl.training.carried_state import RecurrentState
from tfdl.training.fit import FitPlan, open_batches
from tfdl.training.optimization import optimizer_for

CROP_FLIP = {"augmentation": ["crop", "flip"]}
# What is measured -> a configuration, and the shape of random images that stand in for its data.
CASES: dict[str, tuple[dict[str, Any], tuple[int, int, int] | None]] = {
    "cnn, digits, affine": ({"model": "cnn"}, None),
    "cnn, 28x28, crop and flip": ({"model": "cnn", "dataset": CROP_FLIP, "batch_size": 128}, (28, 28, 1)),
    "resnet20, 32x32, crop and flip": ({"model": "resnet20", "dataset": CROP_FLIP, "batch_size": 128}, (32, 32, 3)),
    "rnn, python_topics": ({"model": "rnn"}, None),
    "transformer, python_topics": ({"model": "transformer"}, None),
    "rnn, docstrings": ({"model": "rnn", "task": "text-classification"}, None),
    "transformer, docstrings": ({"model": "transformer", "task": "text-classification"}, None),
    "transformer, dates": ({"task": "translation"}, None),
}
RUNS = ("cnn, digits, affine", "rnn, docstrings")
"""Those with the shortest epochs, whose ends count most."""
RANDOM_IMAGES = 10_000
UNTIMED = 8
"""Steps at the start of each turn: more than are ever read ahead."""

Run = Callable[[int], None]


@dataclass(frozen=True)
class Row:
    """One case."""

    case: str
    batch: int
    milliseconds: float
    """Of a step that the pipeline feeds."""
    samples_per_second: float
    delivers: list[float]
    """Quartiles over the rounds."""
    fed: list[float]
    cpu: list[float]


@dataclass(frozen=True)
class Epochs:
    """One run's epochs without the first, in which the step is compiled."""

    run: str
    epochs: int
    steps: int
    """In an epoch."""
    over: list[float]
    """For each epoch, the time of its steps to their number times the median time of a step."""
    between: list[float]
    """Seconds of each epoch that are not of its steps."""


def main() -> None:
    """Measures every case, prints the tables, and writes them to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="times that each is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one measurement is")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = []
    for name in filter(lambda name: options.only in name, CASES):
        print(f"measuring {name}", file=sys.stderr)
        rows.append(measured(name, options.rounds, options.seconds))
    Console(width=120).print(table_of(rows))
    runs = [epochs_of_a_run(name) for name in RUNS if options.only in name]
    runs += [epochs_of_new_iterators(name) for name in RUNS[:1] if options.only in name]
    Console(width=120).print(table_of_epochs(runs))
    settings = {
        "cores": len(os.sched_getaffinity(0)),
        "load": [load, os.getloadavg()[0]],
        "python": platform.python_version(),
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    print("load average {:.1f} at the start, {:.1f} at the end, this program's own included".format(*settings["load"]))
    if options.output:
        tables = {"rows": list(map(asdict, rows)), "epochs": list(map(asdict, runs))}
        options.output.write_text(json.dumps({"settings": settings, **tables}, indent=2) + "\n", encoding="utf-8")


def opened(name: str) -> tuple[TrainConfig, Any, Source]:
    """A case's configuration, task and training split."""
    values, shape = CASES[name]
    config = compose(values)
    if shape is None:
        task, sources = TASKS.load(config.task).open(config)
        return config, task, sources["train"]
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (RANDOM_IMAGES, *shape), np.uint8)
    labels = generator.integers(0, 10, RANDOM_IMAGES).astype(np.int32)
    task = ImageClassification(shape, tuple("0123456789"), False, config.dataset.augmentation)
    return config, task, ArraySource({"image": images, "label": labels})


def trainer_and_batches(config: TrainConfig, task: Any, source: Source) -> tuple[Trainer, tf.data.Dataset]:
    """As a run has them."""
    keras.utils.set_random_seed(config.seed)
    with compute_precision(config.precision):
        model = build_model(config.model, **task.model_arguments)
    steps, world = steps_left(source.num_examples, config.batch_size), SingleWorld()
    optimizer = optimizer_for(config.optimizer, model, total_steps=1000 * steps, steps_per_epoch=steps, ranks=1)
    carried = RecurrentState(model, config.batch_size, world) if task.carries_state else None
    trainer = Trainer(model, optimizer, task, world, carried=carried)
    trainer.xla = config.xla == "on"
    plan = FitPlan(source, config.batch_size, config.seed, config.steps_per_execution, None, 1)
    return trainer, open_batches(plan, trainer, Progress())


def measured(name: str, rounds: int, seconds: float) -> Row:
    """The first table's figures of one case."""
    config, task, source = opened(name)
    trainer, batches = trainer_and_batches(config, task, source)
    epoch = steps_left(source.num_examples, config.batch_size)
    runs = {
        "fed": trains(trainer, iter(batches), config.steps_per_execution),
        "kept": trains(trainer, iter(kept(batches, epoch)), config.steps_per_execution),
        "alone": reads(iter(batches)),
    }
    runs["kept"](epoch)  # so that all of them are there
    taken = in_turns(runs, rounds, seconds, epoch)
    (fed, fed_cpu), (same, same_cpu), (alone, _) = taken["fed"], taken["kept"], taken["alone"]
    step, samples = statistics.median(fed), source.num_examples / epoch
    found = ratios(same, alone), ratios(fed, same), ratios(fed_cpu, same_cpu)
    return Row(name, config.batch_size, 1e3 * step, samples / step, *found)


def trains(trainer: Trainer, iterator: Any, portion: int) -> Run:
    """Steps, as a run takes them: so many in the graph, then a look at the sums."""

    def run(num_steps: int) -> None:
        for begin in range(0, num_steps, portion):
            trainer.run(iterator, min(portion, num_steps - begin))
            trainer.take_sums()

    return run


def reads(iterator: Any) -> Run:
    """The pipeline's batches, looked at and dropped."""

    @tf.function
    def steps(num_steps: Any) -> Any:
        total = 0.0
        for _ in tf.range(num_steps):
            total += tf.reduce_sum(next(iterator)["weight"])
        return total

    return lambda num_steps: float(steps(tf.constant(num_steps)))


def kept(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The first batches as tensors in memory, again and again. Prefetched as the pipeline's are."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.take(count).cache().repeat().prefetch(4).with_options(options)


def in_turns(runs: dict[str, Run], rounds: int, seconds: float, epoch: int) -> dict[str, tuple[list[float], ...]]:
    """Seconds of a step and its processor time, lists over the rounds, in another order each."""
    counts, order, taken = {}, list(runs), {name: ([], []) for name in runs}
    for name, run in runs.items():
        run(min(epoch, 60))  # traces, also for the short batch of an epoch's end, and warms up
        count = max(3, round(seconds / timed(run, 10)[0]))
        counts[name] = count if count < epoch else -(-count // epoch) * epoch
    counts["kept"] = counts["fed"]
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            for times, value in zip(taken[name], timed(runs[name], counts[name]), strict=True):
                times.append(value)
    return taken


def timed(run: Run, num_steps: int) -> tuple[float, float]:
    """Seconds and processor time of one of so many steps, after those that are not timed."""
    run(UNTIMED)
    begin, cpu = time.perf_counter(), time.process_time()
    run(num_steps)
    return (time.perf_counter() - begin) / num_steps, (time.process_time() - cpu) / num_steps


def ratios(times: list[float], others: list[float]) -> list[float]:
    """Quartiles of the rounds' ratios."""
    return statistics.quantiles([mine / other for mine, other in zip(times, others, strict=True)], n=4)


class Watch(Callback):
    """Notes the seconds of steps and of epochs."""

    def __init__(self) -> None:
        self.portions: list[list[tuple[int, float]]] = [[]]  # of each epoch: steps, and their seconds
        self.seconds: list[float] = []
        self._before = (0, 0.0)

    def on_steps(self, report: StepReport) -> None:
        now = (report.progress.step, report.progress.train_seconds)
        self.portions[-1].append((now[0] - self._before[0], now[1] - self._before[1]))
        self._before = now

    def on_epoch(self, report: EpochReport) -> None:
        self.seconds.append(report.seconds)
        self.portions.append([])


def epochs_of_a_run(name: str) -> Epochs:
    """`tfdl.train`, watched."""
    config, watch = compose(CASES[name][0]), Watch()
    with tempfile.TemporaryDirectory(prefix="tfdl-input-pipeline-") as folder:
        tfdl.train(config, Path(folder) / "run", callbacks=[watch])
    return epochs_of(name, watch.seconds[1:], watch.portions[1:-1])


def epochs_of_new_iterators(name: str, epochs: int = 20) -> Epochs:
    """The control: each epoch makes and ends an autotuned iterator of its own, in its time."""
    config, task, source = opened(name)
    trainer, batches = trainer_and_batches(config, task, source)
    count = steps_left(source.num_examples, config.batch_size)
    options = tf.data.Options()
    options.autotune.enabled = True
    tuned = batches.take(count).with_options(options)
    seconds, portions = [], []
    for _ in range(epochs):
        begin = time.perf_counter()
        iterator = iter(tuned)
        portions.append([])
        for done in range(0, count, config.steps_per_execution):
            number, start = min(config.steps_per_execution, count - done), time.perf_counter()
            trainer.run(iterator, number)
            trainer.take_sums()
            portions[-1].append((number, time.perf_counter() - start))
        del iterator
        seconds.append(time.perf_counter() - begin)
    return epochs_of(f"control: {name}", seconds[1:], portions[1:])


def epochs_of(name: str, seconds: list[float], portions: list[list[tuple[int, float]]]) -> Epochs:
    """From the seconds of each epoch, and the steps and seconds of its portions.

    A step's time is from whole portions: the last one of an epoch is short.
    """
    most = max(number for number, _ in portions[0])
    step = statistics.median(taken / number for epoch in portions for number, taken in epoch if number == most)
    steps = sum(number for number, _ in portions[0])
    within = [sum(taken for _, taken in epoch) for epoch in portions]
    between = [whole - part for whole, part in zip(seconds, within, strict=True)]
    return Epochs(name, len(seconds), steps, [part / (steps * step) for part in within], between)


def table_of(rows: list[Row]) -> Table:
    """The first table for people."""
    table = Table("case", "batch", "ms a step", "trains samples/s", "delivers", "fed", "quartiles", "cpu", "quartiles")
    for row in rows:
        speed, delivers = f"{row.samples_per_second:,.0f}", f"{row.delivers[1]:.1f}"
        shown = [
            text for low, middle, high in (row.fed, row.cpu) for text in (f"{middle:.3f}", f"{low:.2f}, {high:.2f}")
        ]
        table.add_row(row.case, str(row.batch), f"{row.milliseconds:.2f}", speed, delivers, *shown)
    return table


def table_of_epochs(runs: list[Epochs]) -> Table:
    """The second."""
    table = Table("run", "epochs", "steps each", "steps", "worst", "between, ms", "worst")
    for run in runs:
        between = [f"{1e3 * value:.0f}" for value in (statistics.median(run.between), max(run.between))]
        middle, worst = f"{statistics.median(run.over):.2f}", f"{max(run.over):.2f}"
        table.add_row(run.run, str(run.epochs), str(run.steps), middle, worst, *between)
    return table


if __name__ == "__main__":
    main()
