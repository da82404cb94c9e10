"""Trains the CNN in float64 on all ranks, then alone on the whole batches; prints the largest differences, as JSON.

Of 26 samples the last batch has two, so on three ranks one has none. In pieces, the samples of that batch are dealt out
otherwise on several ranks than on one, which only batch statistics can tell.
"""

import json
from typing import Any

import keras
import numpy as np

import tfdl
from tfdl import distributed
from tfdl.data import ArraySource, training_batches
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

GLOBAL_BATCH, STEPS = 12, 9
ADAMW = {"schedule": "cosine", "warmup_steps": 3, "total_steps": STEPS, "weight_decay": 0.1, "ema_momentum": 0.9}
CASES: dict[str, dict[str, Any]] = {
    "synchronized": {"model": {"synchronized": True}},
    "local statistics": {"model": {"synchronized": False}},
    "pieces": {"model": {"synchronized": True}, "pieces": 2, "samples": 24},
    "pieces of a short batch": {"model": {"batch_normalization": False}, "pieces": 2},
}


def trained(world: World, model: dict[str, Any], pieces: int = 1, samples: int = 26) -> list[np.ndarray]:
    """All that a run of some steps leaves, averages of the weights and the optimizer's moments among it."""
    set_current_world(world)
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (samples, 8, 8, 1), np.uint8)
    source = ArraySource({"image": images, "label": random.integers(0, 10, samples).astype(np.int32)})
    task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
    built = tfdl.build_model("cnn", filters=(4, 8), units=16, **model, **task.model_arguments)
    optimizer = tfdl.build_optimizer("adamw", clip_norm=1.0, **ADAMW)
    trainer = Trainer(built, optimizer, task, world, accumulation_steps=pieces)
    batches = training_batches(
        source, batch_size=GLOBAL_BATCH // world.size, seed=0, shard_index=world.rank, num_shards=world.size
    )
    trainer.run(iter(batches), STEPS)
    return [np.asarray(variable) for variable in (*built.weights, *optimizer.variables)]


def main() -> None:
    keras.config.set_dtype_policy("float64")
    world = distributed.init()
    found = {}
    for name, case in CASES.items():
        together = trained(world, **case)
        finite = all(np.isfinite(value).all() for value in together)
        assert finite, name
        assert together[0].dtype == np.float64
        if world.is_chief:
            alone = trained(SingleWorld(), **case)
            found[name] = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
            set_current_world(world)
        world.barrier()
    if world.is_chief:
        print(json.dumps(found), flush=True)


main()
