"""Kills saves of checkpoints: before each of their system calls, and at random times.

    python -m tests.soak.reliability.saves

The first table kills a process before each call that changes a file, once for each call. The second one kills saves of
16 MB at random times. The controls: a checkpoint that is replaced by two renames, and what stock Keras writes (a
``.keras`` file as ``ModelCheckpoint`` saves it, and the files of ``BackupAndRestore``).
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.runs.interrupted_saves import CONTROL, SAVES, Found, Interrupted, copy_of, found_in
from tests.runs.killing import calls_of, kill_after, kill_at
from tests.soak.reliability.results import add_output_options, report
from tests.soak.reliability.stock_saves import STOCK_SAVES, StockSave

ROWS = 512
"""Of the arrays of the checkpoints that are killed at random times: 16 MB."""


def kill_at_each_call(name: str, interrupted: Interrupted, folder: Path) -> dict[str, Any]:
    """Returns a row of the first table."""
    template = folder / "template"
    interrupted.prepare(template)
    with copy_of(template, folder / "whole") as checkpoints:
        calls = calls_of(lambda: interrupted.run(checkpoints))
    found = []
    for number in range(len(calls)):
        with copy_of(template, folder / "killed") as checkpoints:
            kill_at(lambda: interrupted.run(folder / "killed"), number)
            found.append(found_in(checkpoints))
    return {"a save of": name, "kills": len(calls), **counts(interrupted, found)}


def kill_at_random_times(
    name: str, interrupted: Interrupted, count: int, numbers: random.Random, folder: Path
) -> dict[str, Any]:
    """Returns a row of the second table."""
    template = folder / "template"
    interrupted.prepare(template, ROWS)

    def timed() -> float:
        with copy_of(template, folder / "whole") as checkpoints:
            begin = time.perf_counter()
            interrupted.run(checkpoints, ROWS)
            return time.perf_counter() - begin

    seconds = statistics.median(timed() for _ in range(5))
    found = []
    while len(found) < count:
        with copy_of(template, folder / "killed") as checkpoints:
            if kill_after(lambda: interrupted.run(folder / "killed", ROWS), numbers.uniform(0, 1.3 * seconds)):
                found.append(found_in(checkpoints, ROWS))
    return {"a save of": name, "kills": count, **counts(interrupted, found)}


def counts(interrupted: Interrupted, found: list[Found]) -> dict[str, int]:
    """What the kills have left."""
    return {
        "the checkpoint before is the newest whole one": sum(left.state == interrupted.before for left in found),
        "the new one is": sum(left.state == interrupted.after for left in found),
        "neither is whole": sum(left.state not in interrupted.allowed for left in found),
        "damaged ones": sum(len(left.unreadable) for left in found),
        "the next save removes what is left": sum(left.is_reused for left in found),
    }


def kill_stock_saves(
    name: str, make: Callable[[Path], StockSave], count: int, numbers: random.Random, folder: Path
) -> dict[str, Any]:
    """Returns a row of the controls: saves of stock Keras that replace files of the save before."""
    folder.mkdir(parents=True)
    stock = make(folder)
    begin = time.perf_counter()
    stock.save()
    stock.save()
    seconds = (time.perf_counter() - begin) / 2
    killed = torn = 0
    while killed < count:
        stock.save()
        if kill_after(stock.save, numbers.uniform(0, 1.3 * seconds)):
            killed += 1
            torn += not stock.is_readable()
    return {"stock Keras": name, "kills": count, "nothing can be read": torn}


def main(arguments: list[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Prints the tables, and returns their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random-times", type=int, default=200, help="kills at random times, over all kinds of saves")
    parser.add_argument("--stock", type=int, default=20, help="kills of each kind of stock Keras's saves")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    numbers = random.Random(options.seed)
    tables: dict[str, list[dict[str, Any]]] = {"calls": [], "times": [], "stock": []}
    with tempfile.TemporaryDirectory(prefix="tfdl-saves-") as name:
        folder = Path(name)
        for index, (kind, interrupted) in enumerate({**SAVES, "the same step, by two renames": CONTROL}.items()):
            (folder / f"calls-{index}").mkdir()
            tables["calls"].append(kill_at_each_call(kind, interrupted, folder / f"calls-{index}"))
        for index, (kind, interrupted) in enumerate(SAVES.items()):
            (folder / f"times-{index}").mkdir()
            share = options.random_times // len(SAVES)
            row = kill_at_random_times(kind, interrupted, share, numbers, folder / f"times-{index}")
            tables["times"].append(row)
        for kind, make in STOCK_SAVES.items():
            tables["stock"].append(kill_stock_saves(kind, make, options.stock, numbers, folder / make.__name__))
    for rows in tables.values():
        report(rows, tables, options)
    return tables


if __name__ == "__main__":
    main()
