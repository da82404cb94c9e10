# ruff: noqa: E402  (a rank is pinned to its core before TensorFlow starts its threads)
"""One rank of `slow_link.py`: tfdl's training step with and without compression, after one batch or several.

horovodrun starts one process on each host. The variants take turns, and all ranks begin a measurement together. The
chief writes every rank's times to a JSON file.
"""

import argparse
import itertools
import json
import os
from pathlib import Path
from typing import Any

from core_of_rank import horovod_local_rank, pin_to_core

pin_to_core(horovod_local_rank())
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from step_programs import PROGRAMS, LabelTask, StepProgram, build_program_model, random_batch
from turns import Run, time_in_turns, time_steps

import tfdl
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world
from tfdl.optimizers import Adam
from tfdl.training.trainer import Trainer

COMPRESSIONS = ("none", "float16", "bfloat16")
NO_REDUCTION = ("no reduction", 1)

Variant = tuple[str, int]
"""Compression, and batches of a step."""


def main() -> None:
    """Measures one program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", choices=PROGRAMS, required=True)
    parser.add_argument("--accumulation", nargs="*", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    world = tfdl.distributed.init()
    program = PROGRAMS[options.program]
    seed = world.rank
    runs: dict[Variant, Run] = {NO_REDUCTION: training_steps(program, SingleWorld(), seed, "none", 1)}
    for compression, accumulation in itertools.product(COMPRESSIONS, options.accumulation):
        runs[compression, accumulation] = training_steps(program, world, seed, compression, accumulation)
    times_of_ranks = world.all_gather_object(measure(runs, world, options.rounds, options.seconds))
    if world.is_chief:
        options.output.write_text(json.dumps(results(program, times_of_ranks)))


def training_steps(program: StepProgram, world: World, seed: int, compression: str, accumulation: int) -> Run:
    """Makes a function that runs so many training steps, and traces it.

    Args:
        program: the model and its batch.
        world: the ranks that gradients are reduced over.
        seed: seed of this rank's batch.
        compression: of the gradients: none, float16 or bfloat16.
        accumulation: batches of a step.
    """
    set_current_world(world)
    keras.utils.set_random_seed(0)
    model = build_program_model(program, synchronized=False)
    trainer = Trainer(model, Adam(), LabelTask(), world, accumulation_steps=accumulation, compression=compression)
    samples = accumulation * program.samples
    batch = random_batch(program, samples, seed)
    batch[WEIGHT] = tf.ones(samples)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def run(num_steps: int) -> None:
        trainer.run(batches, num_steps)

    run(2)
    return run


def measure(runs: dict[Variant, Run], world: World, rounds: int, seconds: float) -> dict[Variant, list[float]]:
    """Returns variant -> this rank's seconds of a step in every round.

    Args:
        runs: variant -> its steps.
        world: all ranks.
        rounds: number of rounds.
        seconds: about how long one measurement is.
    """
    num_steps = {}
    for variant, run in runs.items():
        step_seconds = world.broadcast_object(time_steps(run, 1, world.barrier))
        num_steps[variant] = max(1, round(seconds / step_seconds))
    return time_in_turns(runs, num_steps, rounds, world.barrier)


def results(program: StepProgram, times_of_ranks: list[dict[Variant, list[float]]]) -> dict[str, Any]:
    """Returns the size of the gradients in bytes and, for each variant, its times on every rank."""
    variants = []
    for variant in times_of_ranks[0]:
        compression, accumulation = variant
        variants.append(
            {
                "compression": compression,
                "accumulation": accumulation,
                "samples": accumulation * program.samples,
                "seconds": [times[variant] for times in times_of_ranks],
            }
        )
    model = build_program_model(program, synchronized=False)
    gradient_bytes = sum(variable.numpy().nbytes for variable in model.trainable_variables)
    return {"gradient_bytes": gradient_bytes, "variants": variants}


if __name__ == "__main__":
    main()
