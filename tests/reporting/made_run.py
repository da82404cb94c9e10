"""Run directories made from files, without a training."""

import json
import os
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, to_yaml

CONFIG = to_yaml(TrainConfig())
SUMMARY = {
    "model": "cnn",
    "task": "image-classification",
    "dataset": "digits",
    "parameters": 316_010,
    "epochs": 20,
    "steps": 460,
    "world_size": 2,
    "batch_size": 32,
    "global_batch_size": 64,
    "examples_per_second": 4800.5,
    "wall_seconds": 65.25,
    "validation": {"loss": 0.125, "accuracy": 0.75},
    "test": {"loss": 0.25, "accuracy": 0.5},
    "weights_sha256": "ab12",
    "tfdl_version": "0.1.0",
}
DONE = {"code": 0, "reason": "done"}


def make_run(
    folder: Path,
    *,
    config: str = CONFIG,
    summary: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    progress: dict[str, Any] | None = None,
    reports: tuple[dict[str, Any], ...] = (),
    imported: bool = False,
) -> Path:
    """Makes a run.

    Args:
        folder: of the run.
        config: the text of its config.yaml.
        summary: content of summary.json; None for no such file.
        status: content of status.json; None for no such file.
        progress: of the only checkpoint; None for no checkpoint.
        reports: lines of metrics.jsonl.
        imported: whether it was imported.
    """
    (folder / "assets").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "config.yaml").write_text(config)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    if status is not None:
        (folder / "status.json").write_text(json.dumps(status))
    if progress is not None:
        checkpoint = folder / "checkpoints" / f"step-{progress['step']:08d}"
        checkpoint.mkdir()
        (checkpoint / "progress.json").write_text(json.dumps(progress))
        (folder / "checkpoints" / "last").symlink_to(checkpoint.name)
    if reports:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reports))
    if imported:
        (folder / "assets" / "imported.json").write_text('{"source": "gpt2"}')
    return folder


def finished(folder: Path, *, started: float = 0, **changes: Any) -> Path:
    """Makes a finished run.

    Args:
        folder: of the run.
        started: when it was started, in seconds since 1970; 0 for now.
        **changes: keys of its summary.
    """
    make_run(folder, summary={**SUMMARY, **changes}, status=DONE, progress={"step": 460})
    if started:
        os.utime(folder / "assets", (started, started))
    return folder
