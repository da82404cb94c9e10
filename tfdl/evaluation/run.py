"""Evaluates a run directory."""

from pathlib import Path

from tfdl.distributed import World, current_world
from tfdl.errors import UserError, nearest
from tfdl.evaluation.rows import evaluate_source, row_function
from tfdl.runs import RunDirectory, load_run
from tfdl.tasks import TASKS

SPLITS = ("train", "validation", "test")


def evaluate(
    run: str | Path | RunDirectory, split: str = "test", checkpoint: str = "last", world: World | None = None
) -> dict[str, float]:
    """Metrics of a run's weights on one split; for ``test`` the same numbers as in its ``summary.json``.

    Args:
        run: the run directory.
        split: ``train``, ``validation`` or ``test``.
        checkpoint: ``last``, ``best``, or a folder's name such as ``step-00000460``.
        world: the ranks that share the work; none takes the current ones.

    Raises:
        UserError: not a run directory, no such split or checkpoint.
    """
    if split not in SPLITS:
        raise UserError(f"split {split!r}, expected one of {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    world = world or current_world()
    with world.agreement():
        loaded = load_run(run, checkpoint)
    with world.agreement():
        task, sources = TASKS[loaded.config.task].open(loaded.config.dataset)
    return evaluate_source(task, row_function(loaded.model, task), sources[split], world)
