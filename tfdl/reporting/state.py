"""The state of a run, as far as its files prove it."""

from tfdl.errors import StoppedError
from tfdl.reporting.run_files import RunFiles


def state_of(files: RunFiles) -> tuple[str, str]:
    """Decides the state of a run.

    - ``finished``: it has its results.
    - ``imported``: it was made of a published model.
    - ``stopped``: a signal ended it, with a checkpoint.
    - ``failed``: an error ended it.
    - ``unfinished``: it recorded no end. It is running, or it was killed: the files do not say which.
    - ``damaged``: a file cannot be used, or is missing.

    Args:
        files: of the run.

    Returns:
        The state, and the reason in one line.
    """
    if files.problems:
        return "damaged", "; ".join(files.problems)
    code = files.status.get("code")
    recorded = files.status.get("reason") or ""
    if files.is_imported:
        return "imported", recorded
    if files.is_done:
        return "finished", ""
    if code == 0:
        return "damaged", "status.json reports the end of the run, but there is no summary.json"
    if code == StoppedError.exit_code:
        return "stopped", f"{recorded}; {_way_on(files)}"
    if code is not None:
        return "failed", f"{recorded}; {_way_on(files)}"
    return "unfinished", f"{_without_end(files, recorded)}; {_way_on(files)}"


def _without_end(files: RunFiles, recorded: str) -> str:
    """What is known of a run that recorded no end."""
    if not files.status:
        return "no status.json"
    note = recorded.removeprefix("running").lstrip("; ")
    return f"running or killed: it recorded no end; {note}" if note else "running or killed: it recorded no end"


def _way_on(files: RunFiles) -> str:
    """Where the run would continue."""
    if files.checkpoint is None:
        return "no checkpoint"
    # A copied run may have a folder in place of the link to the last checkpoint.
    number = files.checkpoint.rpartition("-")[2]
    place = f"step {int(number)}" if number.isdecimal() else "its last checkpoint"
    return f"--resume continues from {place}"
