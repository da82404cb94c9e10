"""Tests that take minutes each. They run when they are asked for: ``make soak``, or ``pytest tests/soak``."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:  # noqa: ARG001
    """Leaves this folder out, unless an argument of the command line is in it."""
    arguments = [Path(argument.partition("::")[0]).absolute() for argument in config.invocation_params.args]
    is_asked_for = any(argument == FOLDER or FOLDER in argument.parents for argument in arguments)
    return None if is_asked_for else True
