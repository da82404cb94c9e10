"""Finds the runs under a folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_LEVELS = 5
"""How many folders deep runs are looked for, such as ``runs/project/sweep/day/name``."""

_CONFIG = "config.yaml"
# Other programs write files of the name config.yaml, too. A run has one of these beside it.
_BESIDE_CONFIG = frozenset({"status.json", "summary.json", "metrics.jsonl", "checkpoints"})


@dataclass(frozen=True)
class FoundRun:
    """A folder that contains a run, or that cannot be read."""

    path: Path
    problem: str = ""
    """Why the folder cannot be read; empty if it can."""


def find_runs(folder: Path) -> list[FoundRun]:
    """Finds the runs in a folder and in the folders below it, in no particular order.

    The folders of a run, hidden folders, and folders more than ``MOST_LEVELS`` deep are left out. A link is followed
    if it leads to a run, and that run is not found without it.

    Args:
        folder: where to look; it may be a run itself.
    """
    links: list[Path] = []
    runs = list(_runs_below(folder, 0, links))
    known = {_real(run.path) for run in runs} if links else set()
    for link in sorted(links):
        target = _real(link)
        if target not in known and _is_run(_names_in(target)):
            known.add(target)
            runs.append(FoundRun(link))
    return runs


def _runs_below(folder: Path, level: int, links: list[Path]) -> Iterator[FoundRun]:
    """The runs below a folder; links are collected."""
    try:
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except OSError as error:
        yield FoundRun(folder, f"the folder cannot be read: {error.strerror}")
        return
    if _is_run({entry.name for entry in entries}):
        yield FoundRun(folder)
        return
    if level == MOST_LEVELS:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_symlink():
            links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _runs_below(path, level + 1, links)


def _real(path: Path) -> Path:
    """The path without links. A link to itself is no error here."""
    return Path(os.path.realpath(path))


def _names_in(folder: Path) -> set[str]:
    """The names in a folder; none if it is no folder, or cannot be read."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _is_run(names: set[str]) -> bool:
    return _CONFIG in names and not _BESIDE_CONFIG.isdisjoint(names)
