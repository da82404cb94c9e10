# ruff: noqa: E402  (a rank is pinned to its core before TensorFlow starts its threads)
"""One rank of `scaling.py`: tfdl's training step with its reduction done in several ways, and without it.

horovodrun starts one process for each rank, each on its own core. The variants take turns, and all ranks begin a
measurement together. The chief writes every rank's times to a JSON file.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core_of_rank import horovod_local_rank, pin_to_core

pin_to_core(horovod_local_rank())
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from step_programs import PROGRAMS, LabelTask, build_program_model, random_batch
from turns import Run, time_in_turns

import tfdl
from tfdl.distributed import SingleWorld, World, reduce_gradients
from tfdl.distributed.buckets import BUCKET_BYTES
from tfdl.distributed.world import set_current_world
from tfdl.optimizers import Adam
from tfdl.training import trainer as trainer_module
from tfdl.training.trainer import Trainer


@dataclass(frozen=True)
class Variant:
    """A way to reduce the gradients."""

    bucket_bytes: int = BUCKET_BYTES
    wire_dtype: str | None = None
    weight_only: bool = False
    """Reduce a single number in a step: the cost of waiting for the other ranks."""
    transports_sum: bool = False
    """Use the transport's own sum also where tfdl would gather and add up."""


VARIANTS = {
    "weight only": Variant(weight_only=True),
    "tfdl": Variant(),
    "transport's sum": Variant(transports_sum=True),
    "one buffer": Variant(2**62),
    "one buffer, transport's sum": Variant(2**62, transports_sum=True),
    "16 MiB": Variant(2**24),
    "4 MiB": Variant(2**22),
    "1 MiB": Variant(2**20),
    "256 KiB": Variant(2**18),
    "bfloat16": Variant(wire_dtype="bfloat16"),
    "float16": Variant(wire_dtype="float16"),
}


def main() -> None:
    """Measures one program in the environment that horovodrun made."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", choices=PROGRAMS, required=True)
    parser.add_argument("--variants", nargs="*", default=["tfdl"], choices=VARIANTS)
    parser.add_argument("--synchronized", action="store_true", help="batch statistics over all ranks")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    world = tfdl.distributed.init()
    runs = {"no reduction": training_steps(options, SingleWorld(), Variant())}
    for name in options.variants:
        runs[name] = training_steps(options, world, VARIANTS[name])
    times = measure(runs, world, options.rounds, options.seconds)
    times_of_ranks = world.all_gather_object(times)
    if world.is_chief:
        result = {"batch": PROGRAMS[options.program].samples, "ranks": times_of_ranks}
        options.output.write_text(json.dumps(result))


def training_steps(options: argparse.Namespace, world: World, variant: Variant) -> Run:
    """Makes a function that runs so many training steps on this rank's batch, and traces it.

    Args:
        options: the program, and whether batch statistics are synchronized.
        world: the ranks that gradients are reduced over.
        variant: how they are reduced.
    """
    program = PROGRAMS[options.program]
    set_current_world(world)
    # The trainer looks this function up when its step is traced.
    trainer_module.reduce_gradients = _reduce_weight if variant.weight_only else _reduction_of(variant)
    keras.utils.set_random_seed(0)
    model = build_program_model(program, options.synchronized)
    trainer = Trainer(model, Adam(), LabelTask(), world)
    batch = random_batch(program, program.samples, seed=world.rank)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def run(num_steps: int) -> None:
        trainer.run(batches, num_steps)

    if variant.transports_sum:
        with patch("tfdl.distributed.horovod.is_faster_gathered", _never):
            run(2)  # traces
    run(2)
    return run


def _reduction_of(variant: Variant) -> Any:
    def reduce(gradients: Any, weight: Any, world: World, **_: Any) -> Any:
        return reduce_gradients(
            gradients, weight, world, bucket_bytes=variant.bucket_bytes, wire_dtype=variant.wire_dtype
        )

    return reduce


def _never(*_: Any) -> bool:
    return False


def _reduce_weight(gradients: list[Any], weight: Any, world: World, **_: Any) -> list[Any]:
    """This rank's own gradients, computed so that they wait for a reduction of the number 1 over all ranks."""
    *reduced, _ = reduce_gradients([*gradients, tf.zeros([])], weight, SingleWorld())
    # The number depends on all gradients, so that the reduction cannot begin before the backward pass ends.
    one = tf.reduce_sum([tf.reduce_sum(gradient[..., :1]) for gradient in reduced]) * 0 + 1
    total = world.all_reduce(one)
    return [gradient / total for gradient in reduced]


def measure(runs: dict[str, Run], world: World, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Returns name -> this rank's seconds of a step in every round.

    Args:
        runs: name -> a variant; "no reduction" decides how many steps a measurement has.
        world: all ranks.
        rounds: number of rounds.
        seconds: about how long one measurement is.
    """
    start = time.perf_counter()
    runs["no reduction"](5)
    step_seconds = world.broadcast_object((time.perf_counter() - start) / 5)
    num_steps = max(1, round(seconds / step_seconds))
    return time_in_turns(runs, dict.fromkeys(runs, num_steps), rounds, world.barrier)


if __name__ == "__main__":
    main()
