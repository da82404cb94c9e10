"""Which data sets lie prepared in a folder, from what TFDS wrote beside them; TFDS itself is not imported."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PreparedSet:
    """One version of a data set on this machine."""

    name: str
    """Name, configuration where there are several, and version: ``fashion_mnist/3.0.1``."""
    path: Path
    splits: dict[str, int]
    """Samples in each."""
    bytes_on_disk: int


def prepared_sets(root: Path) -> list[PreparedSet]:
    """Every prepared set in the folder, by name; what TFDS left half made, or damaged, is not among them."""
    found = []
    for depth in ("*/*", "*/*/*"):
        for path in root.glob(f"{depth}/dataset_info.json"):
            prepared = _read(path, "/".join(path.parent.relative_to(root).parts))
            if prepared is not None:
                found.append(prepared)
    return sorted(found, key=lambda prepared: prepared.name)


def _read(path: Path, name: str) -> PreparedSet | None:
    if name.startswith(".") or ".incomplete" in name:
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        splits = {split["name"]: sum(map(int, split.get("shardLengths", ()))) for split in info.get("splits", ())}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return PreparedSet(name, path.parent, splits, bytes_in(path.parent))


def bytes_in(folder: Path) -> int:
    """The size of a folder's files."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
