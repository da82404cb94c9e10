"""Reads the small JSON files of a run, which may contain anything."""

from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.json_files import bounded_object
from tfdl.runs.json_values import json_values


def read_json_object(path: Path) -> dict[str, Any]:
    """One JSON object, with None for numbers that are NaN or infinite; empty if there is no such file.

    Args:
        path: of the file.

    Raises:
        UserError: the file contains something else, or is no regular file.
        OSError: the file cannot be read.
    """
    try:
        values: dict[str, Any] = json_values(bounded_object(path))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path.name} {error}") from error
    return values
