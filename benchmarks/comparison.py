"""Times several variants of one program against each other.

In every round each variant runs once for the same number of steps, in a new order, so other work on the machine slows
all variants alike. The ratio of a variant is the median over the rounds of its time divided by the first variant's time
in the same round.
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf
from rich.table import Table

Program = Callable[[tf.Tensor], tf.Tensor]
"""Runs so many steps, and returns a scalar that depends on all of them."""


@dataclass(frozen=True)
class Row:
    """Times of one variant."""

    variant: str
    milliseconds: float
    """Median time of a step."""
    ratio: float
    """Median over the rounds of this variant's time divided by the first variant's."""
    quartiles: tuple[float, float]
    """First and third quartile of the rounds' ratios."""


def compare(variants: dict[str, Program], rounds: int, seconds: float) -> list[Row]:
    """Times every variant once in each round.

    Args:
        variants: name -> program. The others are compared with the first.
        rounds: number of rounds.
        seconds: least time of one measurement.
    """
    num_steps = _steps_for(variants, seconds)
    order = list(variants)
    step_times: dict[str, list[float]] = {name: [] for name in variants}
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            step_times[name].append(_time(variants[name], num_steps) / num_steps)
    base_times = step_times[next(iter(variants))]
    rows = []
    for name, times in step_times.items():
        ratios = [own / base for own, base in zip(times, base_times, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        rows.append(Row(name, 1e3 * statistics.median(times), median, (low, high)))
    return rows


def _steps_for(variants: dict[str, Program], seconds: float) -> int:
    """The number of steps with which the fastest variant takes at least ``seconds``."""
    for program in variants.values():
        _time(program, 3)  # traces, and warms up
    num_steps = 3
    while True:
        fastest = min(_time(program, num_steps) for program in variants.values())
        if fastest >= seconds:
            return num_steps
        growth = min(10, 1.2 * seconds / fastest)
        num_steps = max(num_steps + 1, int(num_steps * growth))


def _time(program: Program, num_steps: int) -> float:
    start = time.perf_counter()
    float(program(tf.constant(num_steps)))  # the conversion waits for the device
    return time.perf_counter() - start


def table_of(title: str, rows: list[Row]) -> Table:
    """Makes a table for the terminal."""
    table = Table("variant", title=title, title_justify="left")
    for column in ("ms a step", "ratio", "quartiles"):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row.quartiles
        table.add_row(row.variant, f"{row.milliseconds:.3f}", f"{row.ratio:.3f}", f"{low:.3f} to {high:.3f}")
    return table
