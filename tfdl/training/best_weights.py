"""Gives a model the weights of its best checkpoint."""

from typing import Any

from tfdl.distributed import World
from tfdl.distributed.state import broadcast_state
from tfdl.distributed.watchdog import long_work
from tfdl.models.keras_model import finalize_layers
from tfdl.runs import Progress, RunDirectory, load_checkpoint
from tfdl.runs.checkpoint import checkpoint_name
from tfdl.training.averaged_weights import keep_as_averages


def restore_best_weights(
    model: Any, optimizer: Any, run: RunDirectory, progress: Progress, world: World, *, by_order: bool
) -> str:
    """Gives every rank's model the weights of the best checkpoint; called on every rank.

    Args:
        model: the trained model.
        optimizer: its running averages, if it keeps any, become the weights too.
        run: has all checkpoints that could be written.
        progress: names the best step.
        world: the ranks; rank 0 reads.
        by_order: as for ``load_checkpoint``.

    Returns:
        What was done, in words; empty if the model has the best weights already.

    Raises:
        DamagedCheckpointError: the checkpoint is damaged. It is raised on every rank.
    """
    if progress.best_step in (0, progress.step):
        return ""
    folder = run.checkpoints / checkpoint_name(progress.best_step)
    if not world.broadcast_object(folder.is_dir()):
        return f"the best weights, those of step {progress.best_step}, could not be written: the last ones stay"
    with world.agreement(), long_work("reading the best checkpoint"):
        if world.is_chief:
            load_checkpoint(folder, model, by_order=by_order)
    broadcast_state(model.weights, world)
    finalize_layers(model)
    keep_as_averages(optimizer)
    return f"the weights of step {progress.best_step} are restored, the best ones"
