"""Folders: prepared data, and room for what a run writes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfdl.diagnosis.finding import Finding

_LITTLE_ROOM = 2 * 2**30


def data_directory(data_dir: str | None) -> Iterator[Finding]:
    """Prepared data sets, and whether more can be."""
    from tfdl.data.tfds.catalog import data_root
    from tfdl.data.tfds.prepared import prepared_sets

    root = data_root(data_dir)
    place = root
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield Finding("data directory", "error", f"{place} is a file", "give a folder: --data-dir DIR")
        return
    if not os.access(place, os.W_OK):
        yield Finding("data directory", "warning", f"{root} cannot be written: only prepared sets can be used")
        return
    sets = sorted({found.name for found in prepared_sets(root)})
    yield Finding("data directory", "ok", f"{root}, prepared: {', '.join(sets) or 'nothing yet'}")
    yield from room(place, "data directory", quiet=True)


def room(folder: Path, name: str, quiet: bool = False) -> Iterator[Finding]:
    """Whether ``folder`` takes files, and how many bytes of them; ``quiet`` says nothing when all is well."""
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {free / 2**30:.1f} GiB free"
    if not os.access(folder, os.W_OK):
        yield Finding(name, "error", f"{folder} cannot be written", "go to another directory, or give --output")
    elif free < _LITTLE_ROOM:
        yield Finding(name, "warning", text, "make room: checkpoints and data need some")
    elif not quiet:
        yield Finding(name, "ok", text)
