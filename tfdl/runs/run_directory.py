"""The directory of one run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, load_yaml, to_yaml
from tfdl.errors import UserError
from tfdl.json_files import read_json_object
from tfdl.runs.atomic import remove_folder, write_json, write_text
from tfdl.runs.json_values import json_values
from tfdl.runs.run_lock import LOCK_FILES

_CONFIG = "config.yaml"
# All that a run writes. --overwrite removes these files and nothing else.
_RUN_FILES = (
    *("metrics.jsonl", "metrics.csv", "divergence.json", "summary.json", "status.json"),
    *("tensorboard", "checkpoints", "assets", _CONFIG),
)
# The names of what a process leaves that is killed while it writes or removes (see ``atomic``).
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, (*_RUN_FILES, *LOCK_FILES)))})\.[\w-]{{8}}", re.ASCII)
# Keys of config.yaml that a run must have to be resumed or evaluated. The others have defaults.
_REQUIRED_KEYS = ("model", "task", "dataset", "optimizer", "batch_size", "seed")

_LINKS = ("last", "best")

IMPORTED = "imported.json"
"""The asset of a run that was imported: where it came from."""


class RunDirectory:
    """Paths and small files of one run. Creating the object reads and writes nothing.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.csv_path = self.path / "metrics.csv"
        self.summary_path = self.path / "summary.json"
        self.status_path = self.path / "status.json"
        self.checkpoints = self.path / "checkpoints"
        self.assets = self.path / "assets"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def open(cls, path: "str | Path | RunDirectory") -> "RunDirectory":
        """Opens an existing run.

        Raises:
            UserError: there is no such directory, or no run in it.
        """
        run = path if isinstance(path, RunDirectory) else cls(path)
        if not run.path.is_dir():
            raise UserError(f"no run directory {str(run.path)!r}; give one that `tfdl train` wrote, such as runs/NAME")
        if not run.config_path.is_file():
            raise UserError(f"{str(run.path)!r} holds no run (no config.yaml); give a folder that `tfdl train` wrote")
        return run

    def is_free(self) -> bool:
        """Whether a new run can be written here: the directory does not exist, or is empty."""
        if not self.path.exists():
            return True
        return self.path.is_dir() and all(_is_left_over(path.name) for path in self.path.iterdir())

    def has_run(self) -> bool:
        """Whether the directory contains a run."""
        return self.config_path.is_file()

    def read_config(self) -> TrainConfig:
        """Reads the resolved configuration of the run.

        Raises:
            UserError: the file is not valid, or incomplete.
        """
        return TrainConfig.from_mapping(self.read_config_values())

    def read_config_values(self) -> dict[str, Any]:
        """Reads the keys of ``config.yaml`` without checking their values. No plugin is needed.

        Raises:
            UserError: the file is not YAML, or incomplete.
        """
        values = load_yaml(self.config_path)
        missing = [key for key in _REQUIRED_KEYS if key not in values]
        if missing:
            raise UserError(f"{self.config_path} is incomplete: missing {', '.join(missing)}")
        return values

    def is_imported(self) -> bool:
        """Whether the run was not trained here, but made of a published model."""
        return (self.assets / IMPORTED).is_file()

    def claim(self) -> "RunDirectory":
        """Makes this directory. When another process has made it, makes one with the next free number, as ``NAME-2``.

        Returns:
            The directory that was made.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        run = self
        number = 1
        while True:
            try:
                run.path.mkdir()  # fails when it exists, so that two processes never get the same one
                return run
            except FileExistsError:
                number += 1
                run = RunDirectory(self.path.with_name(f"{self.path.name}-{number}"))

    def check_links(self) -> None:
        """Refuses to continue a run in which links lead elsewhere: what is written or removed must be the run's own.

        The links ``last`` and ``best`` may point to checkpoints of the run.

        Raises:
            UserError: a file or a folder of the run is a link.
        """
        paths = [self.path / name for name in (*_RUN_FILES, *LOCK_FILES)]
        paths += [*self.checkpoints.glob("step-*"), *self.tensorboard.glob("*"), *self.tensorboard.glob("*/*")]
        paths += [link for link in map(self.checkpoints.joinpath, _LINKS) if not _stays(link)]
        for path in paths:
            if path.is_symlink():
                raise UserError(
                    f"run {str(self.path)!r} has the link {path.relative_to(self.path).as_posix()!r}, which leads out"
                    " of what a run writes; put the file or the folder itself there, or train in a new --output"
                )

    def make(self) -> None:
        """Makes the directory, if it does not exist.

        Raises:
            UserError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot make --output {str(self.path)!r} ({error.strerror}); choose another directory"
            ) from error

    def create(self, config: TrainConfig) -> None:
        """Makes the folders and writes the configuration; the files of an earlier run are removed.

        The configuration is replaced, never absent between the other files: with it the directory is recognized as a
        run, should the process be killed.

        Raises:
            UserError: the directory cannot be made.
        """
        self.make()
        for name in _RUN_FILES:
            old = self.path / name
            if name != _CONFIG:
                remove_folder(old)
        self.write_config(config)
        self.checkpoints.mkdir()
        self.assets.mkdir()

    def remove_left_over(self) -> None:
        """Removes temporary files of a process that was killed. Only the job that has locked the directory may."""
        for path in self.path.glob(".*"):
            if _TEMPORARY.fullmatch(path.name):
                remove_folder(path)

    def write_config(self, config: TrainConfig) -> None:
        """Writes ``config.yaml``; ``tfdl train --config`` with it repeats the run."""
        write_text(self.config_path, to_yaml(config))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Writes ``summary.json``, the results of a finished run. A number that is NaN or infinite becomes null."""
        write_json(self.summary_path, json_values(summary))

    def write_divergence(self, step: int, findings: Sequence[Mapping[str, Any]]) -> None:
        """Writes ``divergence.json``: why a step could not be made.

        Args:
            step: the number of the step, from 1.
            findings: of each rank.
        """
        write_json(self.path / "divergence.json", {"step": step, "ranks": list(findings)})

    def read_summary(self) -> dict[str, Any]:
        """Reads ``summary.json``.

        Raises:
            UserError: the run has not finished, or the file is damaged.
        """
        if not self.summary_path.is_file():
            raise UserError(
                f"run {str(self.path)!r} has no summary.json: it has not finished; continue it with --resume"
            )
        return read_json_object(self.summary_path, "evaluate the run instead, or train it again")

    def write_status(self, code: int | None, reason: str) -> None:
        """Writes ``status.json``.

        Args:
            code: the exit code, ``None`` while the run is going.
            reason: a few words on why it ended.
        """
        write_json(self.status_path, {"code": code, "reason": reason})

    def checkpoint(self, name: str = "last") -> Path:
        """Finds a checkpoint.

        Args:
            name: ``last``, ``best``, or the name of a folder such as ``step-00000460``.

        Raises:
            UserError: the run has no checkpoint of this name.
        """
        folder = self.checkpoints / name
        if name == "last" and not (folder.is_dir() and _stays(folder)):
            folder = self.newest_checkpoint() or folder
        # A name with a slash would lead out of the run.
        is_plain_name = name not in ("", ".", "..") and Path(name).name == name
        if is_plain_name and folder.is_dir() and _stays(folder):
            return folder
        names: list[str] = []
        if self.checkpoints.is_dir():
            # Hidden folders are checkpoints that are being written.
            names = sorted(path.name for path in self.checkpoints.glob("[!.]*"))
        available = ", ".join(names) or "none yet"
        raise UserError(f"run {str(self.path)!r} has no checkpoint {name!r}; it has {available}")

    def newest_checkpoint(self) -> Path | None:
        """Returns the checkpoint that ``last`` points to, or ``None``.

        When the link was lost in copying the directory, it returns the checkpoint of the highest step.
        """
        last = self.checkpoints / "last"
        if last.is_dir() and _stays(last):
            return last.resolve()
        return max(self.checkpoints.glob("step-*"), default=None)


def _is_left_over(name: str) -> bool:
    """Whether a killed process may have left a file of this name in a directory that has no run."""
    return name in LOCK_FILES or _TEMPORARY.fullmatch(name) is not None


def _stays(checkpoint: Path) -> bool:
    """Whether a checkpoint is in its folder; a link may lead to another place."""
    return checkpoint.resolve().parent == checkpoint.parent.resolve()
