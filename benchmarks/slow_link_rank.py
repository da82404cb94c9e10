"""One rank of `slow_link.py`: tfdl's training step with gradients compressed or not, after one batch or after several.

Started by horovodrun, one process on each host. The variants take turns; all ranks begin a measurement together. The
chief writes every rank's times to a JSON file.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

# First: this module gives the rank its core before TensorFlow starts its threads.
from scaling_rank import PROGRAMS, Token, batch, build

# isort: split
import keras
import tensorflow as tf

import tfdl
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world
from tfdl.optimizers import Adam
from tfdl.training.trainer import Trainer

COMPRESSIONS = ("none", "float16", "bfloat16")


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
    found = PROGRAMS[options.program]
    runs = {("no reduction", 1): program(found, SingleWorld(), world.rank, "none", 1)}
    for compression, pieces in itertools.product(COMPRESSIONS, options.accumulation):
        runs[compression, pieces] = program(found, world, world.rank, compression, pieces)
    times = measured(runs, world, options.rounds, options.seconds)
    everyone = world.all_gather_object(times)
    if world.is_chief:
        variants = [
            {"compression": name[0], "accumulation": name[1], "samples": found["batch"] * name[1],
             "seconds": [theirs[name] for theirs in everyone]}
            for name in runs
        ]  # fmt: skip
        model = build(found, synchronized=False)
        size = sum(variable.numpy().nbytes for variable in model.trainable_variables)
        options.output.write_text(json.dumps({"gradient_bytes": size, "variants": variants}))


def program(found: dict[str, Any], world: World, seed: int, compression: str, pieces: int) -> Any:
    """Runs so many training steps of `pieces` batches each, which its first call has traced."""
    set_current_world(world)
    keras.utils.set_random_seed(0)
    trainer = Trainer(
        build(found, synchronized=False), Adam(), Token(), world, accumulation_steps=pieces, compression=compression
    )
    rows = batch({**found, "batch": pieces * found["batch"]}, seed)
    rows[WEIGHT] = tf.ones(pieces * found["batch"])
    batches = iter(tf.data.Dataset.from_tensors(rows).repeat())

    def run(num_steps: int) -> None:
        trainer.run(batches, num_steps)

    run(2)
    return run


def measured(runs: dict[Any, Any], world: World, rounds: int, seconds: float) -> dict[Any, list[float]]:
    """Seconds of a step, a list over the rounds for each variant."""
    num_steps = {
        name: max(1, round(seconds / world.broadcast_object(timed(run, 1, world)))) for name, run in runs.items()
    }
    order, times = list(runs), {name: [] for name in runs}
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            times[name].append(timed(runs[name], num_steps[name], world))
    return times


def timed(run: Any, num_steps: int, world: World) -> float:
    world.barrier()
    begin = time.perf_counter()
    run(num_steps)
    return (time.perf_counter() - begin) / num_steps


if __name__ == "__main__":
    main()
