"""Trains the CNN in float64 on all ranks, then alone on the whole batches; prints the largest difference, as JSON.

The last batch has two samples, so on three ranks one has none.
"""

import json

import keras
import numpy as np

import tfdl
from tfdl import distributed
from tfdl.data import ArraySource, training_batches
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

SAMPLES, GLOBAL_BATCH, STEPS = 26, 12, 9  # three epochs of 12, 12 and 2


def final_weights(world: World, synchronized: bool) -> list[np.ndarray]:
    set_current_world(world)
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (SAMPLES, 8, 8, 1), np.uint8)
    source = ArraySource({"image": images, "label": random.integers(0, 10, SAMPLES).astype(np.int32)})
    task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
    model = tfdl.build_model("cnn", filters=(4, 8), units=16, synchronized=synchronized, **task.model_arguments)
    trainer = Trainer(model, tfdl.build_optimizer("adam", clip_norm=1.0), task, world)
    batches = training_batches(
        source, batch_size=GLOBAL_BATCH // world.size, seed=0, shard_index=world.rank, num_shards=world.size
    )
    trainer.run(iter(batches), STEPS)
    return [np.asarray(variable) for variable in model.weights]


def main() -> None:
    keras.config.set_dtype_policy("float64")
    world = distributed.init()
    found = {}
    for name, synchronized in (("synchronized", True), ("local statistics", False)):
        together = final_weights(world, synchronized)
        alone = final_weights(SingleWorld(), synchronized)
        found[name] = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
        finite = all(np.isfinite(value).all() for value in together)
        assert finite, name
        assert together[0].dtype == np.float64
        set_current_world(world)
        world.barrier()
    if world.is_chief:
        print(json.dumps(found), flush=True)


main()
