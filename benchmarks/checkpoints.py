"""What a checkpoint costs: the same steps of a run with checkpoints and without, in turns.

    python benchmarks/checkpoints.py
    python benchmarks/checkpoints.py --models gpt-mini --steps 21 --rounds 3

Prints, for each model, the size of its checkpoint, the seconds that one adds to the training, and which part of the
time that is at one a minute. The steps of a round are those between the first and the last graph call, without
compilation, validation and the checkpoint at the end.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from tfdl.cli.quiet import quick_start

quick_start()

import tfdl  # noqa: E402
from tfdl.config import compose  # noqa: E402
from tfdl.training import Callback  # noqa: E402

# Small parts of the data: opening and validation are short.
SPLITS = {"dataset.validation_split": "validation[:1]", "dataset.test_split": "test[:1]"}


class Stopwatch(Callback):
    """Measures the time from the end of the first graph call to that of the last one."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_steps(self, report: tfdl.training.callbacks.StepReport) -> None:  # noqa: ARG002
        self.times.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        return self.times[-1] - self.times[0]


def train(model: str, steps: int, every: int | None, folder: Path) -> tuple[float, int]:
    """Trains a model for some steps.

    Args:
        model: a family or preset.
        steps: optimizer steps.
        every: steps between two checkpoints; none for the one at the end alone.
        folder: the run directory.

    Returns:
        The seconds of the steps after the first graph call, and the bytes of a checkpoint.
    """
    config = compose({"model": model}, SPLITS, {"steps": steps, "epochs": None, "checkpoint_steps": every})
    config = config.replace(steps_per_execution=1)
    stopwatch = Stopwatch()
    run = tfdl.train(config, folder, overwrite=True, callbacks=[stopwatch])
    size = sum(path.stat().st_size for path in run.checkpoint().iterdir())
    return stopwatch.seconds, size


def main() -> None:
    """Prints a Markdown table with a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["lstm-small", "transformer", "lstm-medium"])
    parser.add_argument("--steps", type=int, default=41)
    parser.add_argument("--every", type=int, default=10, help="steps between two checkpoints")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    # The one after the last step is written after the last time is taken.
    count = (options.steps - 1) // options.every
    print("| model | checkpoint | ms a step | seconds a checkpoint adds | of the time at one a minute |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="tfdl-checkpoints-") as name:
        folder = Path(name)
        for model in options.models:
            plain, added = [], []
            for _ in range(options.rounds):
                seconds, size = train(model, options.steps, None, folder / "without")
                with_checkpoints, _ = train(model, options.steps, options.every, folder / "with")
                plain.append(seconds)
                added.append((with_checkpoints - seconds) / count)
            step = statistics.median(plain) / (options.steps - 1)
            cost = statistics.median(added)
            print(f"| {model} | {size / 1e6:,.0f} MB | {step * 1e3:,.1f} | {cost:.2f} | {cost / 60:.1%} |", flush=True)


if __name__ == "__main__":
    main()
