"""A long run of small steps: do memory, open files and threads stay flat, and the logs small?

    python -m tests.soak.reliability.long_run
    python -m tests.soak.reliability.long_run --leak 20    # the control: 20 bytes a step are never freed

The resident memory of the process is read after graph calls. From a fifth of the steps on, the means of twenty equal
parts get a straight line by least squares. Its slope is given with its standard error, as the growth over the run.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from tfdl.cli.quiet import quick_start

quick_start()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402

import tfdl  # noqa: E402
from tests.soak.reliability.results import add_output_options, report  # noqa: E402
from tfdl.training import Callback  # noqa: E402

MEGABYTE = 1_000_000
PARTS = 20
SAMPLES = 16_384
FEATURES = 16


class Meter(Callback):
    """Reads what the process has, after every graph call.

    Args:
        leak: bytes to keep, for each step.
    """

    def __init__(self, leak: int = 0):
        self.process = psutil.Process()
        self.readings: list[tuple[int, int, int, int]] = []
        self.leak = leak
        self.kept: list[bytearray] = []
        self.last_step = 0

    def on_steps(self, report: Any) -> None:
        step = report.progress.step
        if self.leak:
            self.kept.append(bytearray(os.urandom(self.leak * (step - self.last_step))))
        self.last_step = step
        files = len(os.listdir("/proc/self/fd"))
        self.readings.append((step, self.process.memory_info().rss, files, self.process.num_threads()))


def slope(steps: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The slope of a straight line by least squares, and its standard error.

    Args:
        steps: (n,), at least 3.
        values: (n,)
    """
    centered = steps - steps.mean()
    spread = (centered**2).sum()
    gradient = (centered * values).sum() / spread
    rest = values - values.mean() - gradient * centered
    return float(gradient), float(np.sqrt((rest**2).sum() / (len(steps) - 2) / spread))


def growth(readings: np.ndarray, column: int, num_steps: int) -> tuple[float, float]:
    """How much a reading grows over a run of so many steps, and the standard error.

    Args:
        readings: (n, columns), the first column has the steps.
        column: of the reading.
        num_steps: of the run.
    """
    later = readings[readings[:, 0] >= num_steps / 5]
    means = np.array([part.mean(axis=0) for part in np.array_split(later, PARTS)])
    gradient, error = slope(means[:, 0], means[:, column])
    return gradient * num_steps, error * num_steps


def bytes_in(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints one row, and returns it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--leak", type=int, default=0, help="bytes a step that are never freed")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    x = generator.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    layers = [
        keras.Input((FEATURES,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    data = {"train": (x, y), "validation": (x[:1000], y[:1000]), "test": (x[:1000], y[:1000])}
    config = tfdl.TrainConfig(batch_size=32, steps=options.steps, epochs=None, checkpoint_steps=200)
    meter = Meter(options.leak)
    with tempfile.TemporaryDirectory(prefix="tfdl-long-") as name:
        run = tfdl.train(config, Path(name) / "run", model=model, data=data, callbacks=[meter])
        sizes = {path.name: bytes_in(path) for path in (run.metrics_path, run.csv_path, run.tensorboard)}
        num_files = sum(path.is_file() for path in run.path.rglob("*"))
    readings = np.array(meter.readings, np.float64)
    grown, error = growth(readings, 1, options.steps)
    second_half = readings[len(readings) // 5 :]
    row = {
        "steps": f"{options.steps:,}",
        "memory at a fifth, and at the end": " and ".join(
            f"{value / MEGABYTE:,.1f} MB" for value in (second_half[0, 1], second_half[-1, 1])
        ),
        "slope over the run": f"{grown / MEGABYTE:+.2f} MB, standard error {error / MEGABYTE:.2f}",
        "open files": _range(second_half[:, 2]),
        "threads": _range(second_half[:, 3]),
        **{name: f"{size / MEGABYTE:.2f} MB" for name, size in sizes.items()},
        "files of the run": num_files,
    }
    report([row], {"readings": meter.readings[:: max(1, len(meter.readings) // 500)]}, options)
    return [{**row, "grown": grown, "error": error}]


def _range(values: np.ndarray) -> str:
    return f"{values.min():.0f} to {values.max():.0f}"


if __name__ == "__main__":
    main()
