"""Makes one entry of a list from the files of a run."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl.reporting.checked_values import check_status, checked_values, count_or_zero
from tfdl.reporting.finding import FoundRun
from tfdl.reporting.flat_settings import flat_settings
from tfdl.reporting.listed_run import ListedRun
from tfdl.reporting.run_files import RunFiles, read_run_files
from tfdl.reporting.state import state_of
from tfdl.runs.run_directory import RunDirectory

# Results that stay true of a run that was resumed after them.
_LASTING = ("model", "task", "dataset", "parameters")
# Two days before the year 10000, which Python's dates do not have in any time zone.
_END_OF_TIME = 253_402_128_000


def read_run(found: FoundRun, name: str) -> ListedRun:
    """Reads one run. What is wrong with its files becomes its state; nothing is raised.

    Args:
        found: the run's folder.
        name: of the run in the list.
    """
    problem = found.problem
    if not problem:
        try:
            return _read(found, name)
        except Exception as error:
            # Files may contain anything, and one run must not hide the others.
            problem = f"its files cannot be used: {type(error).__name__}: {error}"
    return ListedRun(name, str(found.path), "damaged", problem)


def _read(found: FoundRun, name: str) -> ListedRun:
    run = RunDirectory(found.path)
    files = read_run_files(run)
    values = checked_values(_values(files), files.problems)
    check_status(files.status, files.problems)
    state, reason = state_of(files)
    return ListedRun(
        name,
        str(found.path),
        state,
        reason,
        checkpoint=files.checkpoint,
        started=_started(run, files),
        changed=_latest(run.status_path, run.summary_path, run.metrics_path),
        config=flat_settings(files.config),
        **values,
    )


def _values(files: RunFiles) -> dict[str, Any]:
    """The results of a run, or of a run without results how far it has come."""
    values = _from_config(files.config)
    if files.is_done:
        return {**values, **files.summary}
    reached = _reached(files)
    has_gone_past = count_or_zero(reached["steps"]) > count_or_zero(files.summary.get("steps"))
    if files.summary and not has_gone_past:
        return {**values, **files.summary}
    # The results are those of an earlier end, after which the run was resumed.
    lasting = {key: files.summary[key] for key in _LASTING if key in files.summary}
    return {**values, **lasting, **reached}


def _from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    model = _section(config, "model")
    return {
        "model": model.get("preset") or model.get("name"),
        "task": config.get("task"),
        "dataset": _section(config, "dataset").get("name"),
        "batch_size": config.get("batch_size"),
    }


def _section(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A section of the configuration, which may be a name alone."""
    section = config.get(key)
    return section if isinstance(section, Mapping) else {"name": section}


def _reached(files: RunFiles) -> dict[str, Any]:
    """How far a run has come: by its newest checkpoint, or by a later report."""
    progress = files.progress
    reached = {
        "epochs": progress.get("epoch"),
        "steps": progress.get("step"),
        "wall_seconds": progress.get("wall_seconds"),
        "validation": progress.get("validation"),
    }
    last = files.metrics.last
    last_step = count_or_zero(last.get("step"))
    if last_step and last_step >= count_or_zero(reached["steps"]):
        reached["steps"] = last_step
        reached["epochs"] = last.get("epoch", reached["epochs"])
        reached["validation"] = files.metrics.last_epoch.get("validation", reached["validation"])
    return reached


def _started(run: RunDirectory, files: RunFiles) -> float | None:
    """When the run was started: its first report, or the making of its folder of assets if that is earlier.

    A copy may have lost the time of the folder, and an imported run has no report.
    """
    times = []
    first = files.metrics.first.get("time")
    if isinstance(first, int | float) and 0 < first < _END_OF_TIME:
        times.append(float(first))
    made = _latest(run.assets)
    if made is not None:
        times.append(made)
    return min(times, default=None)


def _latest(*paths: Path) -> float | None:
    """When the last of these files was written; None without any of them."""
    times = []
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(min(path.stat().st_mtime, _END_OF_TIME))
    return max(times, default=None)
