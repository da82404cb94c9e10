"""The prepared data sets of a folder, from the files that TFDS wrote beside them; TFDS itself is not imported."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PreparedSet:
    """One version of a data set on this machine."""

    name: str
    """Name, configuration if there are several, and version, such as ``fashion_mnist/3.0.1``."""
    path: Path
    splits: dict[str, int]
    """Samples in each split."""
    bytes_on_disk: int


def prepared_sets(root: Path) -> list[PreparedSet]:
    """Every prepared data set in the folder, sorted by name; unfinished and damaged ones are left out."""
    sets = []
    for depth in ("*/*", "*/*/*"):  # name/version, name/configuration/version
        for path in root.glob(f"{depth}/dataset_info.json"):
            name = path.parent.relative_to(root).as_posix()
            prepared = _read(path, name)
            if prepared is not None:
                sets.append(prepared)
    return sorted(sets, key=lambda prepared: prepared.name)


def _read(path: Path, name: str) -> PreparedSet | None:
    """The data set that a ``dataset_info.json`` describes."""
    if name.startswith(".") or ".incomplete" in name:
        return None
    splits = {}
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        for split in info.get("splits", ()):
            shard_lengths = split.get("shardLengths", ())
            splits[split["name"]] = sum(int(length) for length in shard_lengths)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return PreparedSet(name, path.parent, splits, bytes_in(path.parent))


def bytes_in(folder: Path) -> int:
    """The size of a folder's files; folders within it are not counted."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
