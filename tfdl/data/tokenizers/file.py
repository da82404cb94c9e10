"""``tokenizer.json``: what a tokenizer has learned, with its SHA-256 to recognize damage."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tfdl.errors import UserError

FILE_NAME = "tokenizer.json"
_MOST_BYTES = 256 * 2**20


def file_bytes(name: str, content: dict[str, Any]) -> bytes:
    """The file's bytes, the same for the same content.

    Args:
        name: the tokenizer's name.
        content: as ``Tokenizer.content`` returns it.
    """
    values = {"tokenizer": name, "sha256": _digest(name, content), "content": content}
    text = json.dumps(values, ensure_ascii=False, indent=1)
    return f"{text}\n".encode()


def read_content(folder: Path) -> tuple[str, dict[str, Any]]:
    """The tokenizer's name and content.

    Raises:
        UserError: no such file, or a file with other contents than were written.
    """
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r} ({error.strerror}); expected a tokenizer that a run saved"
        ) from error
    if len(data) > _MOST_BYTES:
        raise UserError(f"{str(path)!r} has more than {_MOST_BYTES:,} bytes, expected a tokenizer that a run saved")
    try:
        values = json.loads(data)
        name = values["tokenizer"]
        content = values["content"]
        is_intact = values["sha256"] == _digest(name, content)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_intact = False
    if not is_intact:
        raise UserError(f"{str(path)!r} is damaged: its contents are not what was saved; copy it anew, or train again")
    return name, content


def _digest(name: str, content: dict[str, Any]) -> str:
    text = json.dumps([name, content])
    return hashlib.sha256(text.encode()).hexdigest()
