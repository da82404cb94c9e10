"""Damage to a checkpoint's files: is all of it found, and does the run resume from the checkpoint before?

    python -m tests.soak.reliability.damage

Flips single bits and cuts files of the newest checkpoint of a run, one at a time; small files as often as large ones.
After each of them the checkpoint that ``--resume`` takes is looked for. Some runs are really resumed, and their results
compared with those of a run that was never damaged. The control: the same damage to files of stock Keras.
"""

import argparse
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfdl.cli.quiet import quick_start

quick_start()

import numpy as np  # noqa: E402

import tfdl  # noqa: E402
from tests.runs.damage import Damage, random_damages  # noqa: E402
from tests.soak.reliability.cases import config_of  # noqa: E402
from tests.soak.reliability.results import add_output_options, report  # noqa: E402
from tests.soak.reliability.stock_saves import STOCK_SAVES, StockSave  # noqa: E402
from tfdl.runs.checkpoint import DamagedCheckpointError, verify  # noqa: E402
from tfdl.runs.checkpoint_folder import newest_first  # noqa: E402
from tfdl.training import Callback  # noqa: E402

CASE = "LSTM, carried state"
# Within the second epoch, so that there is a carried state; and a callback with a state.
STEPS = 15
BEFORE = 10
MORE_STEPS = 20
KINDS = {"a bit flipped": lambda damage: damage.bit is not None, "a file cut": lambda damage: damage.bit is None}


def config(steps: int) -> tfdl.TrainConfig:
    """The configuration of the run.

    Args:
        steps: its length.
    """
    return config_of(CASE, 5, {"steps": steps, "early_stopping_patience": 100})


def whole_checkpoint(folder: Path) -> Path | None:
    """The checkpoint from which a run resumes."""
    for path in newest_first(folder):
        try:
            verify(path)
        except DamagedCheckpointError:
            continue
        return path
    return None


class ResumedFrom(Callback):
    """Notes from which step a run resumes."""

    step = 0

    def on_start(self, plan: Any) -> None:
        self.step = plan.resumed_from


def resume(run: Path, copy: Path) -> tuple[int, dict[str, Any]]:
    """Resumes a copy of a run; returns the step that it began from, and its results."""
    shutil.copytree(run, copy, symlinks=True)
    began = ResumedFrom()
    resumed = tfdl.train(config(MORE_STEPS), copy, resume=True, callbacks=[began])
    summary = resumed.read_summary()
    shutil.rmtree(copy)
    return began.step, {name: summary[name] for name in ("weights_sha256", "validation", "test")}


def damage_checkpoints(options: argparse.Namespace, numbers: random.Random, folder: Path) -> list[dict[str, Any]]:
    """Returns the rows of the first table."""
    run = tfdl.train(config(STEPS), folder / "run")
    newest = run.checkpoint("last").resolve()
    before = newest.with_name(f"step-{BEFORE:08d}")
    assert whole_checkpoint(run.checkpoints) == newest
    _, expected = resume(run.path, folder / "copy")
    damages = random_damages(newest, options.flips, options.cuts, numbers)
    resumed = set(numbers.sample(range(len(damages)), options.resumed))
    rows = []
    for kind, is_of_kind in KINDS.items():
        chosen = [(number, damage) for number, damage in enumerate(damages) if is_of_kind(damage)]
        found = [damage for _, damage in chosen if _finds(damage, run.checkpoints, before)]
        missed = [str(damage) for _, damage in chosen if damage not in found]
        results = []
        for number, damage in chosen:
            if number in resumed:
                with damage.done():
                    results.append(resume(run.path, folder / "copy"))
        rows.append(
            {
                "damage": kind,
                "times": len(chosen),
                "found, and the checkpoint before taken": len(found),
                "runs resumed": len(results),
                "from the checkpoint before, to the same bits": results.count((BEFORE, expected)),
                "files": len({damage.path for _, damage in chosen}),
            }
        )
        if missed:
            print(f"not found: {'; '.join(missed)}")
    return rows


def _finds(damage: Damage, checkpoints: Path, before: Path) -> bool:
    with damage.done():
        return whole_checkpoint(checkpoints) == before


def damage_stock(
    name: str, make: Callable[[Path], StockSave], flips: int, numbers: random.Random, folder: Path
) -> dict[str, Any]:
    """Returns a row of the control."""
    folder.mkdir()
    stock = make(folder)
    stock.save()
    stock.load()
    expected = stock.values()
    refused = silent = 0
    for damage in random_damages(folder, flips, 0, numbers):
        with damage.done():
            if not stock.is_readable():
                refused += 1
                continue
            silent += not all(map(np.array_equal, stock.values(), expected))
    return {
        "stock Keras": name,
        "bits flipped": flips,
        "refused": refused,
        "read without a message, other weights": silent,
    }


def main(arguments: list[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Prints the tables, and returns their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--resumed", type=int, default=12, help="of these, runs that are resumed")
    parser.add_argument("--stock", type=int, default=200, help="bits flipped in files of stock Keras, of each kind")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    numbers = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="tfdl-damage-") as name:
        folder = Path(name)
        os.environ.setdefault("TFDS_DATA_DIR", str(folder / "data"))
        tables = {"tfdl": damage_checkpoints(options, numbers, folder), "stock": []}
        for kind, make in STOCK_SAVES.items():
            if options.stock and make.__name__ != "DoubleBackup":
                tables["stock"].append(damage_stock(kind, make, options.stock, numbers, folder / make.__name__))
    for rows in tables.values():
        if rows:
            report(rows, tables, options)
    return tables


if __name__ == "__main__":
    main()
