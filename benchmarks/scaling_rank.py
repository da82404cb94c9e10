# ruff: noqa: E402  (a rank takes its core before TensorFlow starts its threads)
"""One rank of `scaling.py`: tfdl's training step with its reduction done in several ways, and left out.

Started by horovodrun, one process a rank, each on a core of its own. The variants take turns; all ranks begin a
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

# Before TensorFlow starts its threads: one core for each rank.
_CORES = sorted(os.sched_getaffinity(0))
_PLACE = os.environ.get("HOROVOD_LOCAL_RANK") or os.environ["OMPI_COMM_WORLD_LOCAL_RANK"]
os.sched_setaffinity(0, {_CORES[int(_PLACE) % len(_CORES)]})
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl.distributed import HorovodWorld, SingleWorld, World, reduce_gradients
from tfdl.distributed.buckets import BUCKET_BYTES
from tfdl.distributed.world import set_current_world
from tfdl.optimizers import Adam
from tfdl.tasks import cross_entropy
from tfdl.tasks.task import Task
from tfdl.training import trainer as trainer_module
from tfdl.training.trainer import Trainer

# Name -> model, batch size, and shape of a sample; whole numbers below `tokens` where there is one.
PROGRAMS: dict[str, dict[str, Any]] = {
    "cnn": {"model": "cnn", "batch": 64, "shape": (24, 24, 3), "arguments": {"num_classes": 10}},
    "lstm": {"model": "lstm-small", "batch": 20, "shape": (20,), "tokens": 10000},
    "gpt": {
        "model": "transformer",
        "batch": 12,
        "shape": (64,),
        "tokens": 65,
        "arguments": {"num_layers": 4, "num_heads": 4, "hidden_dim": 128, "sequence_length": 64},
    },
}


@dataclass(frozen=True)
class Variant:
    """A way to reduce."""

    bucket_bytes: int = BUCKET_BYTES
    wire_dtype: str | None = None
    weight_only: bool = False
    """A single number a step: what waiting for the others costs by itself."""
    transports_sum: bool = False
    """The collective that the transport has for a sum, also where tfdl would gather."""


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


class Token(Task):
    """A label, or the next token, for each row of the outputs; every sample counts 1."""

    running_metrics = ("loss",)

    def inputs(self, batch: dict[str, Any]) -> Any:
        return batch["inputs"]

    def losses(self, batch: dict[str, Any], logits: Any) -> tuple[Any, Any]:
        losses = cross_entropy(batch["labels"], logits)
        losses = tf.reduce_mean(losses, list(range(1, losses.shape.rank)))
        return losses, tf.ones_like(losses)

    def running_sums(self, batch: dict[str, Any], logits: Any, losses: Any) -> list[Any]:  # noqa: ARG002
        return [tf.reduce_sum(losses)]


def main() -> None:
    """Measures one program under the environment that it was started in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", choices=PROGRAMS, required=True)
    parser.add_argument("--variants", nargs="*", default=["tfdl"], choices=VARIANTS)
    parser.add_argument("--synchronized", action="store_true", help="batch statistics over all ranks")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    world = tfdl.distributed.init()
    runs = {"no reduction": program(options, SingleWorld(), Variant())}
    runs |= {name: program(options, world, VARIANTS[name]) for name in options.variants}
    times = measured(runs, world, options.rounds, options.seconds)
    everyone = world.all_gather_object(times)
    if world.is_chief:
        options.output.write_text(json.dumps({"batch": PROGRAMS[options.program]["batch"], "ranks": everyone}))


def program(options: argparse.Namespace, world: World, variant: Variant) -> Any:
    """Runs so many steps on this rank's batch, reduced over `world`, which its first call has traced."""
    found = PROGRAMS[options.program]
    set_current_world(world)
    if variant.weight_only:
        trainer_module.reduce_gradients = reduce_weight
    else:

        def reduce(gradients: Any, weight: Any, world: World, **_: Any) -> Any:
            buffers = {"bucket_bytes": variant.bucket_bytes, "wire_dtype": variant.wire_dtype}
            return reduce_gradients(gradients, weight, world, **buffers)

        trainer_module.reduce_gradients = reduce
    keras.utils.set_random_seed(0)
    model = build(found, options.synchronized)
    trainer = Trainer(model, Adam(), Token(), world)
    batches = iter(tf.data.Dataset.from_tensors(batch(found, world.rank)).repeat())

    def run(num_steps: int) -> None:
        trainer.run(batches, num_steps)

    if variant.transports_sum:
        with patch.object(HorovodWorld, "_is_quicker_gathered", never):
            run(2)  # traces
    run(2)
    return run


def never(*_: Any) -> bool:
    return False


def reduce_weight(gradients: list[Any], weight: Any, world: World, **_: Any) -> list[Any]:
    """Gradients of this rank alone, which wait for all ranks."""
    reduced = reduce_gradients([*gradients, tf.zeros([])], weight, SingleWorld())
    total = world.all_reduce(tf.reduce_sum([tf.reduce_sum(gradient[..., :1]) for gradient in reduced[:-1]]) * 0 + 1)
    return [gradient / total for gradient in reduced[:-1]]


def build(found: dict[str, Any], synchronized: bool) -> keras.Model:
    arguments = dict(found.get("arguments", {}))
    if "tokens" in found:
        arguments["vocab_size"] = found["tokens"]
    else:
        arguments |= {"input_shape": found["shape"], "synchronized": synchronized}
    return tfdl.build_model(found["model"], **arguments)


def batch(found: dict[str, Any], rank: int) -> dict[str, Any]:
    draws, shape = np.random.default_rng(rank), (found["batch"], *found["shape"])
    if "tokens" not in found:
        inputs, labels = draws.normal(size=shape).astype("float32"), draws.integers(0, 10, shape[0])
    else:
        rows = draws.integers(0, found["tokens"], (shape[0], shape[1] + 1))
        inputs, labels = rows[:, :-1].astype("int32"), rows[:, 1:]
    return {"inputs": tf.constant(inputs), "labels": tf.constant(labels.astype("int32"))}


def measured(runs: dict[str, Any], world: World, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of a step, a list over the rounds for each variant."""
    begin = time.perf_counter()
    runs["no reduction"](5)
    each = world.broadcast_object((time.perf_counter() - begin) / 5)
    num_steps = max(1, round(seconds / each))
    order, times = list(runs), {name: [] for name in runs}
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            world.barrier()
            begin = time.perf_counter()
            runs[name](num_steps)
            times[name].append((time.perf_counter() - begin) / num_steps)
    return times


if __name__ == "__main__":
    main()
