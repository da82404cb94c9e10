"""Lists the runs of a folder."""

from pathlib import Path

from tfdl.errors import UserError
from tfdl.reporting.finding import find_runs
from tfdl.reporting.listed_run import ListedRun
from tfdl.reporting.reading import read_run


def list_runs(folder: str | Path = "runs") -> list[ListedRun]:
    """Lists the runs in a folder and in the folders below it, the newest first.

    Only small files are read. TensorFlow is not imported, and neither is any plugin.

    Args:
        folder: with the runs; it may be a run itself.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    root = Path(folder)
    if not root.exists():
        raise UserError(
            f"no folder {str(root)!r}, expected one with runs; make a run with `tfdl train`, or give another folder:"
            " tfdl runs FOLDER"
        )
    if not root.is_dir():
        raise UserError(f"{str(root)!r} is a file, expected a folder with runs, such as runs")
    found = find_runs(root)
    for each in found:
        if each.path == root and each.problem:
            raise UserError(f"{str(root)!r}: {each.problem}; expected a folder with runs that can be read")
    runs = [read_run(each, _name(each.path, root)) for each in found]
    runs.sort(key=lambda run: run.run)
    runs.sort(key=lambda run: run.started or 0.0, reverse=True)
    return runs


def _name(path: Path, root: Path) -> str:
    """A run's path below the folder; the name of the folder if that is the run."""
    return path.resolve().name if path == root else str(path.relative_to(root))
