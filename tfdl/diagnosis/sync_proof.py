"""Trains a small model over the ranks and compares it; then lets one rank go its own way, which must be found."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.diagnosis.finding import Finding
from tfdl.distributed import World, broadcast_state
from tfdl.distributed.sync_proof import SyncProof
from tfdl.models import build_model
from tfdl.optimizers import build_optimizer
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer

_STEPS, _BATCH = 5, 16
_MEND = "do not train on these ranks; compare what `tfdl doctor` says on each host"


def prove_sync(world: World) -> Iterator[Finding]:
    """The proof and its control, for every rank to call.

    The ranks start from different weights and see different data, as a broken job's would: what makes them one model is
    the broadcast and the reduction alone.
    """
    keras.utils.set_random_seed(world.rank)
    task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
    model = build_model("cnn", filters=(4,), units=8, **task.model_arguments)
    trainer = Trainer(model, build_optimizer(), task, world)
    broadcast_state(trainer.variables, world)
    batches = _batches(world.rank)
    trainer.run(iter(batches), _STEPS)
    proof = SyncProof.of_training(model, trainer.update_variables, world, every=1)
    done = f"a CNN of {model.count_params():,} parameters after {_STEPS} steps"
    difference = proof.difference()
    if difference is not None:
        yield Finding("sync proof", "error", f"{done}: {difference}", _MEND)
        return
    yield Finding("sync proof", "ok", f"{done}: all {proof.num_variables} variables are bit-identical on all ranks")
    yield _control(trainer, next(iter(batches)), proof)


def _control(trainer: Trainer, batch: Any, proof: SyncProof) -> Finding:
    """The last rank makes a step that is not reduced. A proof that did not see it would prove nothing."""
    world, last = trainer.world, trainer.world.size - 1
    if world.rank == last:
        _step_alone(trainer, batch)
    difference = proof.difference()
    if difference is None or difference.rank != last:
        found = f"rank {last} made a step alone, and the comparison says: {difference or 'equal'}"
        return Finding("its control", "error", found, _MEND)
    return Finding("its control", "ok", f"a step that rank {last} made alone is found: {difference}")


def _step_alone(trainer: Trainer, batch: Any) -> None:
    """In inference mode, for batch statistics would ask the other ranks."""
    with tf.GradientTape() as tape:
        losses, _ = trainer.task.losses(batch, trainer.model(trainer.task.inputs(batch), training=False))
        loss = tf.reduce_mean(losses)
    variables = trainer.model.trainable_variables
    trainer.optimizer.apply(tape.gradient(loss, variables), variables)


def _batches(rank: int) -> Any:
    random = np.random.default_rng(rank)
    features = {
        "image": random.integers(0, 256, (_STEPS, _BATCH, 8, 8, 1), np.uint8),
        "label": random.integers(0, 10, (_STEPS, _BATCH)).astype(np.int32),
        "weight": np.ones((_STEPS, _BATCH), np.float32),
    }
    return tf.data.Dataset.from_tensor_slices(features)
