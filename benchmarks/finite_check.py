"""What it costs that a step with NaN or infinite values is not made: training steps with this check and without it.

    python benchmarks/finite_check.py --rounds 30

The steps are those of `step_programs.py`, and one of a hundred small layers, whose many variables cost the most. With
and without take turns. `ratio` is the median over the rounds of the time with the check divided by the time without in
the same round, with its quartiles.
"""

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from tfdl.cli.quiet import quick_start

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
quick_start()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from step_programs import PROGRAMS, LabelTask, build_program_model, random_batch  # noqa: E402
from turns import Run, time_in_turns  # noqa: E402

from tfdl.distributed import SingleWorld  # noqa: E402
from tfdl.distributed.loss_scale import LossScale, NoLossScale  # noqa: E402
from tfdl.optimizers import Adam  # noqa: E402
from tfdl.training import Trainer  # noqa: E402

DEEP = "100 layers of 32 units"
WIDTH = 32


class Unchecked(NoLossScale):
    """Applies every step, whatever its gradients are."""

    def marked(self, weight: Any, loss: Any) -> Any:  # noqa: ARG002
        return weight

    def snapshot(self, variables: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        return []

    def update(
        self,
        gradients: Sequence[Any],
        apply: Callable[[Sequence[Any]], None],
        restore: Callable[[], None],  # noqa: ARG002
    ) -> Any:
        apply(gradients)
        return tf.constant(True)


def prepare(name: str, loss_scale: LossScale) -> Run:
    """Builds a program's trainer, and traces its step."""
    keras.utils.set_random_seed(0)
    if name == DEEP:
        model = keras.Sequential([keras.layers.Input([WIDTH]), *[keras.layers.Dense(WIDTH) for _ in range(100)]])
        random = np.random.default_rng(0)
        inputs = random.random((WIDTH, WIDTH), "float32")
        batch = {"inputs": inputs, "labels": random.integers(0, WIDTH, WIDTH)}
    else:
        model = build_program_model(PROGRAMS[name], synchronized=False)
        batch = random_batch(PROGRAMS[name], PROGRAMS[name].samples, seed=0)
    trainer = Trainer(model, Adam(), LabelTask(), SingleWorld(), loss_scale=loss_scale)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    trainer.run(batches, 2)
    return lambda num_steps: trainer.run(batches, num_steps)


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often each is measured")
    parser.add_argument("--steps", type=int, default=10, help="of one measurement")
    parser.add_argument("--programs", nargs="*", default=[*PROGRAMS, DEEP])
    options = parser.parse_args()
    print("| step | ms without | ms with | ratio | quartiles |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.programs:
        runs = {"without": prepare(name, Unchecked()), "with": prepare(name, NoLossScale())}
        seconds = time_in_turns(runs, dict.fromkeys(runs, options.steps), options.rounds, lambda: None)
        ratios = [checked / plain for checked, plain in zip(seconds["with"], seconds["without"], strict=True)]
        first, median, third = statistics.quantiles(ratios, n=4)
        milliseconds = [1e3 * statistics.median(seconds[kind]) for kind in ("without", "with")]
        columns = " | ".join(f"{value:.1f}" for value in milliseconds)
        print(f"| {name} | {columns} | {median:.2f} | {first:.2f} to {third:.2f} |", flush=True)


if __name__ == "__main__":
    main()
