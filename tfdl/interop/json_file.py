"""Reads the small JSON files of a published model, which may contain anything."""

from pathlib import Path
from typing import Any

from tfdl.json_files import MOST_BYTES, read_json_object


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Reads one JSON object; the arguments and errors are those of ``read_json_object``."""
    return read_json_object(path, "download it anew", most_bytes)
