"""Evaluates a run directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.distributed import World, current_world
from tfdl.errors import UserError, nearest
from tfdl.evaluation.rows import gather_rows, row_function
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
    return evaluate_in_detail(run, split, checkpoint, world).metrics


@dataclass(frozen=True)
class Evaluation:
    """What was found on a split."""

    metrics: dict[str, float]
    details: dict[str, Any]
    """What the task tells beside its metrics, as plain data: of classes, ``classes`` and ``confusion_matrix``."""


def evaluate_in_detail(
    run: str | Path | RunDirectory, split: str = "test", checkpoint: str = "last", world: World | None = None
) -> Evaluation:
    """As ``evaluate``, with what a report shows beside the metrics."""
    if split not in SPLITS:
        raise UserError(f"split {split!r}, expected one of {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    world = world or current_world()
    with world.agreement():
        loaded = load_run(run, checkpoint)
    with world.agreement():
        task, sources = TASKS[loaded.config.task].open(loaded.config, loaded.run.assets)
    rows = gather_rows(task, row_function(loaded.model, task), sources[split], world)
    return Evaluation(task.metrics(rows), task.details(rows))
