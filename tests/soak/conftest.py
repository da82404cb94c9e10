"""Tests that take minutes each. They run only on request: ``make soak``, or ``pytest tests/soak``."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:  # noqa: ARG001
    """Leaves this folder out, unless an argument of the command line is this folder or a file in it."""
    arguments = [Path(argument.partition("::")[0]).absolute() for argument in config.invocation_params.args]
    is_requested = any(argument == FOLDER or FOLDER in argument.parents for argument in arguments)
    return None if is_requested else True  # None leaves the decision to pytest
