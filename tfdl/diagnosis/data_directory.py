"""Checks of folders: prepared data sets, and free space for what a run writes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.finding import Finding

_LITTLE_SPACE = 2 * 2**30  # bytes


def check_data_directory(data_dir: str | None) -> Iterator[Finding]:
    """Lists the prepared data sets, and checks that more can be prepared."""
    from tfdl.data.tfds.catalog import data_root
    from tfdl.data.tfds.prepared import prepared_sets

    root = data_root(data_dir)
    # The folder need not exist yet: then its nearest existing parent must be writable.
    existing = root
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        yield Finding("data directory", "error", f"{existing} is a file", "give a folder: --data-dir DIR")
        return
    if not os.access(existing, os.W_OK):
        yield Finding("data directory", "warning", f"{root} is not writable: only prepared data sets can be used")
        return
    names = sorted({prepared.name for prepared in prepared_sets(root)})
    yield Finding("data directory", "ok", f"{root}, prepared: {', '.join(names) or 'nothing yet'}")
    yield from check_free_space(existing, "data directory", quiet=True)


def check_free_space(folder: Path, name: str, quiet: bool = False) -> Iterator[Finding]:
    """Checks that a folder is writable and has free space.

    Args:
        folder: an existing folder.
        name: subject of the finding.
        quiet: return no finding when nothing is wrong.
    """
    free = shutil.disk_usage(folder).free
    description = f"{folder}, {free / 2**30:.1f} GiB free"
    if not os.access(folder, os.W_OK):
        yield Finding(name, "error", f"{folder} is not writable", "change to another directory, or give --output")
    elif free < _LITTLE_SPACE:
        yield Finding(name, "warning", description, "free some space: checkpoints and data need it")
    elif not quiet:
        yield Finding(name, "ok", description)
