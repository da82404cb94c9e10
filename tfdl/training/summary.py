"""The results of a run, under the names that other programs rely on."""

from typing import Any

from tfdl import __version__
from tfdl.runs import Progress
from tfdl.training.callbacks import RunPlan


def summarize(
    plan: RunPlan, progress: Progress, validation: dict[str, float], test: dict[str, float], weights_sha256: str
) -> dict[str, Any]:
    """Returns the contents of ``summary.json``.

    ``examples_per_second`` is the speed of the training steps over all ranks. It leaves out the first graph call, which
    compiles.

    Args:
        plan: of the run.
        progress: at the end of the run.
        validation: metrics of the validation split.
        test: metrics of the test split.
        weights_sha256: the digest of the final weights.
    """
    seconds = progress.train_seconds
    examples_per_second = progress.timed_examples / seconds if seconds else 0.0
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
        "examples_per_second": round(examples_per_second, 1),
        "wall_seconds": round(progress.wall_seconds, 3),
        "validation": validation,
        "test": test,
        "weights_sha256": weights_sha256,
        "tfdl_version": __version__,
    }
