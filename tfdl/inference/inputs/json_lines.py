"""Lines of JSON as inputs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.inference.items import BadItem


def json_values(where: str, lines: Iterable[tuple[int, str]], encoding: str) -> Iterator[tuple[str, Any]]:
    """The value of each line; blank lines are left out.

    Args:
        where: the file, for names.
        lines: with their numbers.
        encoding: of the file.

    Yields:
        The name of the line, and its value, or a ``BadItem`` if it is not JSON.
    """
    for number, line in lines:
        if not line.strip():
            continue
        name = f"{where} line {number}"
        try:
            yield name, json.loads(line)
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
            wrong = what_is_wrong(line, encoding)
            yield name, BadItem(name, wrong or f"not JSON: {error}", ADVICE if wrong else "")


def kept_values(value: Mapping[str, Any], kept: Sequence[str]) -> dict[str, str]:
    """The columns of an object that are copied to the output, as texts; all but strings as JSON.

    Args:
        value: the object.
        kept: names of the columns; one that is missing is empty.
    """
    values = {name: value.get(name, "") for name in kept}
    return {name: item if isinstance(item, str) else json.dumps(item) for name, item in values.items()}
