"""The files of a run that was not trained here."""

from collections.abc import Mapping
from typing import Any

from tfdl import __version__
from tfdl.config import TrainConfig
from tfdl.runs import Progress, RunDirectory, save_checkpoint, weights_sha256
from tfdl.runs.atomic import write_json
from tfdl.runs.run_directory import IMPORTED
from tfdl.tasks.task import Task


def write_imported_run(
    run: RunDirectory, config: TrainConfig, task: Task, model: Any, record: Mapping[str, str]
) -> None:
    """Writes a run of step 0.

    Args:
        run: an existing empty folder.
        config: of the run.
        task: its tables, such as a vocabulary, are saved.
        model: with its weights.
        record: where it comes from; has ``source``.
    """
    run.create(config)
    task.save(run.assets)
    write_json(run.assets / IMPORTED, dict(record))
    save_checkpoint(run.checkpoints, model, [], Progress())
    run.write_summary(
        {
            "model": config.model.label,
            "task": config.task,
            "dataset": config.dataset.name,
            "parameters": model.count_params(),
            "epochs": 0,
            "steps": 0,
            "world_size": 1,
            "batch_size": config.batch_size,
            "global_batch_size": config.batch_size,
            "examples_per_second": 0.0,
            "wall_seconds": 0.0,
            "validation": {},
            "test": {},
            "weights_sha256": weights_sha256(model),
            "tfdl_version": __version__,
        }
    )
    run.write_status(0, f"imported from {record['source']}")
