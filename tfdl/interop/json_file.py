"""Reads the small JSON files of a published model, which may contain anything."""

import json
from pathlib import Path
from typing import Any

from tfdl.errors import UserError

MOST_BYTES = 16 * 2**20
"""The largest configuration that is read."""


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        path: the file.
        most_bytes: a larger file is refused before it is read.

    Raises:
        UserError: no such file, a file that is too large, or no JSON object.
    """
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise UserError(f"{str(path)!r} has {size:,} bytes, expected at most {most_bytes:,}")
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r} ({error.strerror}); expected a file of a published model"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is not JSON ({error}); download it anew") from error
    if not isinstance(values, dict):
        raise UserError(f"{str(path)!r} holds a {type(values).__name__}, expected a JSON object")
    return values
