"""``tokenizer.json``: what a tokenizer learned, with the SHA-256 by which damage is seen."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tfdl.errors import UserError

FILE_NAME = "tokenizer.json"


def file_bytes(name: str, content: dict[str, Any]) -> bytes:
    """The file's bytes, the same for the same content."""
    text = json.dumps(
        {"tokenizer": name, "sha256": _digest(name, content), "content": content}, ensure_ascii=False, indent=1
    )
    return f"{text}\n".encode()


def read_content(folder: Path) -> tuple[str, dict[str, Any]]:
    """The tokenizer's name and content.

    Raises:
        UserError: no such file, or not what was written.
    """
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r} ({error.strerror}); expected a tokenizer that a run saved"
        ) from error
    try:
        values = json.loads(data)
        name, content = values["tokenizer"], values["content"]
        whole = values["sha256"] == _digest(name, content)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{str(path)!r} is damaged: its contents are not what was saved; copy it anew, or train again")
    return name, content


def _digest(name: str, content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([name, content]).encode()).hexdigest()
