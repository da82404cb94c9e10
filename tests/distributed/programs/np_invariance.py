"""Trains the CNN in float64 on all ranks, then alone on the whole batches; prints the largest differences, as JSON.

Of 26 samples the last batch has two, so one of three ranks has none. If batches are cut into pieces, several ranks put
the samples of a short batch into other pieces than one rank does. Batch statistics differ then, so that case has none.
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

GLOBAL_BATCH = 12
STEPS = 9
ADAMW = {"schedule": "cosine", "warmup_steps": 3, "total_steps": STEPS, "weight_decay": 0.1, "ema_momentum": 0.9}
CASES: dict[str, dict[str, Any]] = {
    "synchronized": {"model": {"synchronized": True}},
    "local statistics": {"model": {"synchronized": False}},
    "pieces": {"model": {"synchronized": True}, "pieces": 2, "samples": 24},
    "pieces of a short batch": {"model": {"batch_normalization": False}, "pieces": 2},
}


def train(world: World, model: dict[str, Any], pieces: int = 1, samples: int = 26) -> list[np.ndarray]:
    """Returns the weights after the last step, and the optimizer's variables, including averages of the weights.

    Args:
        world: The ranks that train.
        model: Fields of the CNN.
        pieces: The number of pieces of each batch.
        samples: The number of training samples.
    """
    set_current_world(world)
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (samples, 8, 8, 1), np.uint8)
    source = ArraySource({"image": images, "label": random.integers(0, 10, samples).astype(np.int32)})
    task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
    cnn = tfdl.build_model("cnn", filters=(4, 8), units=16, **model, **task.model_arguments)
    optimizer = tfdl.build_optimizer("adamw", clip_norm=1.0, **ADAMW)
    trainer = Trainer(cnn, optimizer, task, world, accumulation_steps=pieces)
    batches = training_batches(
        source, batch_size=GLOBAL_BATCH // world.size, seed=0, shard_index=world.rank, num_shards=world.size
    )
    trainer.run(iter(batches), STEPS)
    return [np.asarray(variable) for variable in (*cnn.weights, *optimizer.variables)]


def main() -> None:
    keras.config.set_dtype_policy("float64")
    world = distributed.init()
    differences = {}
    for name, case in CASES.items():
        together = train(world, **case)
        are_finite = all(np.isfinite(value).all() for value in together)
        assert are_finite, name
        assert together[0].dtype == np.float64
        if world.is_chief:
            alone = train(SingleWorld(), **case)
            differences[name] = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
            set_current_world(world)
        world.barrier()
    if world.is_chief:
        print(json.dumps(differences), flush=True)


main()
