"""Prompts from options, files and standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tfdl.errors import UserError


def read_prompts(texts: Sequence[str], file: str | None) -> list[str]:
    """The prompts of ``--prompt``, then those of ``--prompts``.

    Args:
        texts: prompts of the command line.
        file: a file with a prompt on each line, ``-`` for standard input, or None.

    Raises:
        UserError: no prompt, an empty one, or a file that cannot be read.
    """
    prompts = list(texts)
    if file is not None:
        name = "standard input" if file == "-" else repr(file)
        # Only line ends separate prompts, not all that Unicode takes for one.
        lines = [line for line in _content(file, name).replace("\r\n", "\n").split("\n") if line.strip()]
        if not lines:
            raise UserError(f"{name} is empty, expected a prompt on each line")
        prompts += lines
    if not prompts:
        raise UserError("no prompt, expected --prompt TEXT, or --prompts FILE with a prompt on each line")
    return prompts


def _content(file: str, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {name} ({error.strerror}); expected a file with a prompt on each line") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}); expected a prompt on each line") from error
