"""Reads the small JSON files of a run, which may contain anything."""

import json
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.json_files import MOST_BYTES
from tfdl.reporting.regular_file import check_regular
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
        check_regular(path)
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(content) > MOST_BYTES:
        raise UserError(f"{path.name} has more than {MOST_BYTES:,} bytes")
    try:
        values = json_values(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path.name} holds a {type(values).__name__}, expected an object")
    return values
