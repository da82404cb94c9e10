"""Gives a model the weights of its best checkpoint."""

from pathlib import Path
from typing import Any

from tfdl.distributed import World
from tfdl.distributed.state import broadcast_state
from tfdl.distributed.watchdog import long_work
from tfdl.models.keras_model import finalize_layers
from tfdl.runs import Progress, RunDirectory, load_checkpoint
from tfdl.runs.atomic import replace_link
from tfdl.runs.checkpoint import DamagedCheckpointError
from tfdl.runs.checkpoint_folder import checkpoint_name
from tfdl.training.averaged_weights import keep_as_averages


def restore_best_weights(
    model: Any, optimizer: Any, run: RunDirectory, progress: Progress, world: World, *, by_order: bool
) -> str:
    """Gives every rank's model the weights of the best checkpoint; called on every rank.

    The link ``last`` then points to it: whatever uses the run has these weights. The checkpoint of the last step stays
    as it is.

    Args:
        model: the trained model.
        optimizer: its running averages, if it keeps any, become the weights too.
        run: has all checkpoints that could be written.
        progress: names the best step.
        world: the ranks; rank 0 reads.
        by_order: as for ``load_checkpoint``.

    Returns:
        What was done, in words; empty if the model has the best weights already.
    """
    if progress.best_step in (0, progress.step):
        return ""
    fault = ""
    with world.agreement(), long_work("reading the best checkpoint"):
        if world.is_chief:
            fault = _read(model, run.checkpoints / checkpoint_name(progress.best_step), by_order)
    fault = world.broadcast_object(fault)
    if fault:
        return f"the best weights, those of step {progress.best_step}, {fault}: the last ones stay"
    broadcast_state(model.weights, world)
    finalize_layers(model)
    keep_as_averages(optimizer)
    progress.validation = {}  # it was measured with the weights before
    return f"the weights of step {progress.best_step} are restored, the best ones"


def _read(model: Any, folder: Path, by_order: bool) -> str:
    """Reads weights, and makes the checkpoint the last one; returns why it cannot be used, or nothing."""
    if not folder.is_dir():
        return "could not be written"
    try:
        load_checkpoint(folder, model, by_order=by_order)
    except DamagedCheckpointError as error:
        return f"cannot be used ({error.fault})"
    replace_link(folder.parent / "last", folder.name)
    return ""
