"""How the tests of commands call them."""

from collections.abc import Callable
from typing import Any

import pytest

from tfdl.cli.main import main

Command = Callable[..., tuple[int, str, str]]

TINY = ["--set", "model.filters=[4]", "--set", "model.units=8", "--image-size", "8", "--batch-size", "128"]
"""Options of a training that takes a second or two."""


@pytest.fixture
def run_here(capfd: pytest.CaptureFixture[str]) -> Command:
    """``run_here(*arguments)``: exit code, standard output and standard error of ``tfdl ARGUMENTS`` in this process."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capfd.readouterr()

    return call
