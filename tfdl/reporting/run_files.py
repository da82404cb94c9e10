"""The small files of a run as plain values, with what is wrong with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.reporting.json_file import read_json_object
from tfdl.reporting.metrics_ends import MetricsEnds, read_metrics_ends
from tfdl.reporting.regular_file import check_regular
from tfdl.runs.run_directory import RunDirectory

Values = dict[str, Any]


@dataclass
class RunFiles:
    """What the files of a run contain. A file that is absent or damaged is empty."""

    config: Values = field(default_factory=dict)
    summary: Values = field(default_factory=dict)
    status: Values = field(default_factory=dict)
    progress: Values = field(default_factory=dict)
    """Of the newest checkpoint."""
    metrics: MetricsEnds = field(default_factory=MetricsEnds)
    checkpoint: str | None = None
    """The name of the newest checkpoint."""
    is_imported: bool = False
    problems: list[str] = field(default_factory=list)
    """What is wrong with the files."""

    @property
    def is_done(self) -> bool:
        """Whether the run has results, and its status, if it has one, is that of a run that reached its end."""
        return bool(self.summary) and self.status.get("code", 0) == 0


def read_run_files(run: RunDirectory) -> RunFiles:
    """Reads the small files of a run. Nothing that it contains is imported or built.

    Args:
        run: the run.
    """
    files = RunFiles()
    attempt = _Attempts(files.problems)
    files.config = attempt(lambda: _read_config(run), {})
    files.summary = attempt(lambda: read_json_object(run.summary_path), {})
    files.status = attempt(lambda: read_json_object(run.status_path), {})
    files.is_imported = attempt(run.is_imported, False)
    newest = attempt(run.newest_checkpoint, None)
    if newest is not None:
        files.checkpoint = newest.name
    if newest is not None and not files.is_done:
        files.progress = attempt(lambda: read_json_object(newest / "progress.json"), {})
    files.metrics = attempt(lambda: read_metrics_ends(run.metrics_path, with_last=not files.is_done), MetricsEnds())
    return files


class _Attempts:
    """Calls functions that read files, and collects the reasons for which they fail.

    Args:
        problems: the list to which the reasons are added.
    """

    def __init__(self, problems: list[str]):
        self._problems = problems

    def __call__(self, read: Callable[[], Any], default: Any) -> Any:
        """The result of ``read``, or the default if it fails.

        Args:
            read: takes nothing.
            default: the result if a file cannot be used.
        """
        try:
            return read()
        except UserError as error:
            self._problems.append(str(error))
        except OSError as error:
            name = Path(error.filename).name if error.filename else "a file"
            self._problems.append(f"{name} cannot be read: {error.strerror}")
        return default


def _read_config(run: RunDirectory) -> Values:
    check_regular(run.config_path)
    return run.read_config_values()
