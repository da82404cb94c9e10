"""The folder that a run leaves."""

import json
import shutil
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, load_yaml, to_yaml
from tfdl.errors import UserError
from tfdl.runs.atomic import write_json, write_text

# All that a run writes: what --overwrite removes, and nothing else.
# The configuration goes last: while it is there the directory is known as a run.
_OWN = ("metrics.jsonl", "summary.json", "status.json", "tensorboard", "checkpoints", "assets", "config.yaml")
# What a resumed or evaluated run must state; the rest has defaults.
_STATED = ("model", "task", "dataset", "optimizer", "batch_size", "seed")


class RunDirectory:
    """Paths and small files of one run; creating the object touches nothing."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.summary_path = self.path / "summary.json"
        self.status_path = self.path / "status.json"
        self.checkpoints = self.path / "checkpoints"
        self.assets = self.path / "assets"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def open(cls, path: "str | Path | RunDirectory") -> "RunDirectory":
        """An existing run.

        Raises:
            UserError: there is no such folder, or no run in it.
        """
        run = path if isinstance(path, RunDirectory) else cls(path)
        if not run.path.is_dir():
            raise UserError(f"no run directory {str(run.path)!r}; give one that `tfdl train` wrote, such as runs/NAME")
        if not run.config_path.is_file():
            raise UserError(f"{str(run.path)!r} holds no run (no config.yaml); give a folder that `tfdl train` wrote")
        return run

    def is_free(self) -> bool:
        """Whether nothing stands in the way of a new run here."""
        return not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir()))

    def has_run(self) -> bool:
        """Whether a run was written here."""
        return self.config_path.is_file()

    def read_config(self) -> TrainConfig:
        """The run's resolved configuration."""
        values = load_yaml(self.config_path)
        missing = [key for key in _STATED if key not in values]
        if missing:
            raise UserError(f"{self.config_path} is incomplete: it lacks {', '.join(missing)}")
        return TrainConfig.from_mapping(values)

    def claim(self) -> "RunDirectory":
        """Makes this folder, or one with the next free number where another run was quicker."""
        run, number = self, 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                run.path.mkdir()
                return run
            except FileExistsError:
                number += 1
                run = RunDirectory(self.path.with_name(f"{self.path.name}-{number}"))

    def create(self, config: TrainConfig) -> None:
        """Makes the folders and writes the configuration; an earlier run's files are removed.

        Raises:
            UserError: the directory cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--output {str(self.path)!r} cannot be made ({error.strerror}); choose another directory"
            ) from error
        for name in _OWN:
            old = self.path / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.assets):
            folder.mkdir()
        self.write_config(config)

    def write_config(self, config: TrainConfig) -> None:
        """Writes ``config.yaml``; ``tfdl train --config`` with it repeats the run."""
        write_text(self.config_path, to_yaml(config))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Writes ``summary.json``."""
        write_json(self.summary_path, summary)

    def read_summary(self) -> dict[str, Any]:
        """The results of a finished run."""
        if not self.summary_path.is_file():
            raise UserError(f"run {str(self.path)!r} has no summary.json: it has not finished; go on with --resume")
        summary: dict[str, Any] = json.loads(self.summary_path.read_text(encoding="utf-8"))
        return summary

    def write_status(self, code: int | None, reason: str) -> None:
        """Writes ``status.json``: the exit code (null while running) and why."""
        write_json(self.status_path, {"code": code, "reason": reason})

    def checkpoint(self, name: str = "last") -> Path:
        """The folder of a checkpoint.

        Raises:
            UserError: there is none of this name.
        """
        folder = self.checkpoints / name
        if name == "last" and not folder.is_dir():
            folder = self.newest_checkpoint() or folder
        if name in ("", ".", "..") or Path(name).name != name or not folder.is_dir():
            known = sorted(path.name for path in self.checkpoints.glob("[!.]*")) if self.checkpoints.is_dir() else []
            raise UserError(
                f"run {str(self.path)!r} has no checkpoint {name!r}; it has {', '.join(known) or 'none yet'}"
            )
        return folder

    def newest_checkpoint(self) -> Path | None:
        """What ``last`` points at, or the highest step where the link was lost in copying; ``None`` without any."""
        if (self.checkpoints / "last").is_dir():
            return (self.checkpoints / "last").resolve()
        return max(self.checkpoints.glob("step-*"), default=None)
