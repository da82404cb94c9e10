"""A run's folder of checkpoints: their names, their order, and which of them stay."""

from contextlib import suppress
from pathlib import Path

from tfdl.runs.atomic import remove_folder, replace_link

# What a process that is killed leaves: a checkpoint, or a link that was to replace another one.
_UNFINISHED = (".step-*", ".last.*", ".best.*")


def prune(folder: Path, keep: int, best_step: int, newest: Path) -> None:
    """Removes old checkpoints and unfinished ones, and makes the link ``best`` point to the best one.

    Checkpoints of later steps than the newest one are removed as well: a run that was resumed from an earlier one, as
    when they are damaged, makes these steps again.

    An unfinished one is left when a process is killed while it writes. No other process writes to the folder.

    Args:
        folder: the run's folder of checkpoints.
        keep: number of the newest checkpoints that stay, at least 1.
        best_step: the step of the best checkpoint, which always stays; 0 without one.
        newest: the checkpoint that was written last.
    """
    link = folder / "best"
    # It is not there if it could not be written. The best one that is there stays then.
    if best_step and (folder / checkpoint_name(best_step)).is_dir():
        replace_link(link, checkpoint_name(best_step))
    if link.is_symlink() and link.resolve().name > newest.name:
        link.unlink()  # of steps that are made again
    best = link.resolve().name
    checkpoints = sorted(folder.glob("step-*"))
    place = checkpoints.index(newest)
    for path in [*checkpoints[: max(0, place + 1 - keep)], *checkpoints[place + 1 :]]:
        if path.name != best:
            remove_folder(path)
    for pattern in _UNFINISHED:
        for path in folder.glob(pattern):
            with suppress(OSError):
                remove_folder(path)


def newest_first(folder: Path) -> list[Path]:
    """A run's checkpoints: that of the link ``last``, then the others by their steps.

    Args:
        folder: the run's folder of checkpoints.
    """
    last = folder / "last"
    others = sorted(folder.glob("step-*"), reverse=True)
    first = [last.resolve()] if last.is_dir() else []
    found = dict.fromkeys([*first, *(path.resolve() for path in others)])
    inside = folder.resolve()
    return [path for path in found if path.parent == inside]  # a link may lead elsewhere


def checkpoint_name(step: int) -> str:
    """The name of a checkpoint's folder, such as ``step-00001234``."""
    return f"step-{step:08d}"
