"""Trains in float16 with losses that overflow on rank 1 alone in two of eight steps; prints each rank's state, as JSON.

It trains twice. First all ranks decide together which steps are skipped, as in tfdl. Then each rank decides by its own
gradients (the control). The model has no batch normalization, because synchronized statistics would carry one rank's
infinity to the others in the backward pass.
"""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl import distributed
from tfdl.distributed import World
from tfdl.distributed.loss_scale import all_finite
from tfdl.distributed.state import broadcast_state
from tfdl.runs import weights_sha256
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

STEPS = 8
OVERFLOWING = (1, 4)


class Overflowing(ImageClassification):
    """In some steps, finite losses that become infinite in float32 when they are scaled."""

    def losses(self, batch: Any, logits: Any) -> tuple[Any, Any]:
        losses, weights = super().losses(batch, logits)
        return losses * tf.where(batch["overflows"], 1e37, 1.0), weights


class LocalDecision(Trainer):
    """The control: a rank decides by its own gradients, and sends zero for each value that is not finite."""

    def _accumulated(self, batch: Any, run: Any) -> tuple[list[Any], Any, list[Any]]:
        gradients, *rest = super()._accumulated(batch, run)
        self._finite = all_finite(gradients)
        finite_gradients = [tf.where(tf.math.is_finite(gradient), gradient, 0.0) for gradient in gradients]
        return finite_gradients, *rest

    def _update(self, gradients: Any, _: Any) -> Any:
        def take_step() -> Any:
            self.optimizer.apply(self.loss_scale.unscaled(gradients), self.model.trainable_variables)
            return tf.constant(True)

        tf.cond(self._finite, take_step, lambda: tf.constant(False))
        self.loss_scale.adjust(self._finite)
        return self._finite


def train(trainer_class: type[Trainer], world: World) -> list[tuple[object, ...]]:
    """Returns each rank's digest of the weights, loss scale, number of skipped steps, and number of other steps."""
    keras.utils.set_random_seed(0)
    task_class = Overflowing if world.rank == 1 else ImageClassification
    task = task_class((8, 8, 1), tuple("0123456789"), resized=False)
    with tfdl.models.compute_precision("mixed_float16"):
        model = tfdl.build_model("cnn", filters=(4,), units=8, batch_normalization=False, **task.model_arguments)
    trainer = trainer_class(
        model,
        tfdl.build_optimizer(),
        task,
        world,
        accumulation_steps=2,
        loss_scale=distributed.DynamicLossScale(1024.0),
    )
    broadcast_state(trainer.variables, world)
    random = np.random.default_rng(world.rank)
    overflows = np.zeros((STEPS, 6), bool)  # (steps, samples of a rank)
    overflows[list(OVERFLOWING)] = True
    features = {
        "image": random.integers(0, 256, (STEPS, 6, 8, 8, 1), np.uint8),
        "label": random.integers(0, 10, (STEPS, 6)).astype(np.int32),
        "weight": np.ones((STEPS, 6), np.float32),
        "overflows": overflows,
    }
    trainer.run(iter(tf.data.Dataset.from_tensor_slices(features)), STEPS)
    scale = trainer.loss_scale
    state = (weights_sha256(model), float(scale.scale), int(scale.skipped_steps), int(trainer.optimizer.iterations))
    return world.all_gather_object(state)


def main() -> None:
    world = distributed.init()
    states = {"all": train(Trainer, world), "each": train(LocalDecision, world)}
    if world.is_chief:
        print(json.dumps(states), flush=True)


main()
