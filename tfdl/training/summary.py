"""What came out of a run, under the names that other programs rely on."""

from typing import Any

from tfdl import __version__
from tfdl.runs import Progress
from tfdl.training.callbacks import RunPlan


def summarize(
    plan: RunPlan, progress: Progress, validation: dict[str, float], test: dict[str, float], weights_sha256: str
) -> dict[str, Any]:
    """The contents of ``summary.json``.

    ``examples_per_second`` counts training steps alone, over all ranks, without the first execution, which compiles.
    """
    seconds = progress.train_seconds
    return {
        "model": plan.model,
        "task": plan.task,
        "dataset": plan.dataset,
        "parameters": plan.parameters,
        "epochs": progress.epoch,
        "steps": progress.step,
        "world_size": plan.world_size,
        "batch_size": plan.batch_size,
        "global_batch_size": plan.global_batch_size,
        "examples_per_second": round(progress.timed_examples / seconds, 1) if seconds else 0.0,
        "wall_seconds": round(progress.wall_seconds, 3),
        "validation": validation,
        "test": test,
        "weights_sha256": weights_sha256,
        "tfdl_version": __version__,
    }
