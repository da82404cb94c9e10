"""``--auto-batch-size``: the largest batch that a GPU's memory holds, found before the first step."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import Source, training_batches
from tfdl.data.python_reading import taken
from tfdl.distributed import World
from tfdl.errors import UserError
from tfdl.training.trainer import Trainer

# The search ends when the next size is closer than this share of the size.
_SHARE = 8


def largest_batch_size(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest batch size that fits, to an eighth of it.

    It is doubled until it does not fit, and then the interval between is halved.

    Args:
        fits: whether a step with so many samples can be made.
        start: the first size to try.
        most: the largest size to try.

    Returns:
        A size from 1 to ``most``; 0 if not even one sample fits.
    """
    size = min(start, most)
    too_large = most + 1
    while size and not fits(size):
        too_large = size
        size //= 2
    while size and 2 * size < too_large and fits(2 * size):
        size *= 2
    if size:
        too_large = min(too_large, 2 * size)
    while size and too_large - size > max(1, size // _SHARE):
        middle = (size + too_large) // 2
        if fits(middle):
            size = middle
        else:
            too_large = middle
    return size


def check_possible(trainer: Trainer) -> None:
    """Raises ``UserError`` where the search is refused.

    Args:
        trainer: of the run.
    """
    if not tf.config.list_physical_devices("GPU"):
        raise UserError(
            "--auto-batch-size without a GPU: a CPU's memory has no limit that can be tried without harm to other"
            " programs; give --batch-size"
        )
    if trainer.carried.names:
        raise UserError(
            "--auto-batch-size for a model that carries its state: the batch size is the number of streams that are"
            " read side by side, and decides the results; give --batch-size"
        )
    layers = [layer for layer in trainer.model._flatten_layers() if hasattr(layer, "moving_mean")]
    if layers:
        raise UserError(
            f"--auto-batch-size for a model with batch statistics ({layers[0].name}), whose results depend on the batch"
            " size; give --batch-size"
        )


def chosen_batch_size(trainer: Trainer, source: Source, config: TrainConfig) -> int:
    """The largest batch size whose step every rank's GPU can make; every rank must call it.

    Args:
        trainer: of the run; it stays as it is.
        source: the training split.
        config: of the run, with the first size to try.

    Raises:
        UserError: not even one sample fits.
    """
    world = trainer.world

    def fits(size: int) -> bool:
        batches = training_batches(
            source,
            batch_size=size,
            seed=config.seed,
            shard_index=world.rank,
            num_shards=world.size,
            augment=trainer.task.augment,
        )
        return fits_in_memory(trainer, next(taken(batches)), world)

    most = source.num_examples // (world.size * config.accumulation_steps)
    size = largest_batch_size(fits, config.batch_size, most)
    if not size:
        raise UserError(
            "--auto-batch-size: the memory of a GPU does not hold a step with one sample; choose a smaller model, or"
            " --precision mixed_bfloat16"
        )
    return size


def fits_in_memory(trainer: Trainer, batch: Any, world: World) -> bool:
    """Whether every rank has the memory for the forward and backward pass of a batch; nothing changes.

    The ranks exchange nothing within the pass: one of them may fail alone.

    Args:
        trainer: of the run, built. Its optimizer has its memory already.
        batch: of this rank.
        world: the ranks; all of them must call.
    """

    @tf.function(autograph=False)
    def examine(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            forward = trainer.forward(rows)
        gradients = tape.gradient(forward.objective, trainer.model.trainable_variables)
        # The reduction has them once more, in its buffers.
        flat = [tf.reshape(tf.convert_to_tensor(gradient), [-1]) for gradient in gradients if gradient is not None]
        return tf.concat(flat, 0) if flat else tf.zeros([0])

    before = [tf.identity(variable.value) for variable in trainer.restored_variables]
    try:
        examine(trainer.carried.joined(batch))
        has_room = True
    except tf.errors.ResourceExhaustedError:
        has_room = False
    for variable, value in zip(trainer.restored_variables, before, strict=True):
        variable.assign(value)
    return all(world.all_gather_object(has_room))
