"""What an error quotes from a file neither fills the screen nor steers the terminal."""

import pytest

from tfdl.cli.failures import _line_of
from tfdl.errors import RunError, UserError


def test_control_characters_are_shown_as_escapes():
    assert _line_of(UserError("class '\x1b[31mred\n\x07'")) == r"error: class '\x1b[31mred\n\x07'"


def test_other_characters_stay():
    assert _line_of(UserError("class 'é 猫'")) == "error: class 'é 猫'"


def test_a_failure_may_have_several_lines():
    assert _line_of(RunError("rank 1:\nstack \x1b")) == "error: rank 1:\nstack \\x1b"


@pytest.mark.parametrize("length", [2000, 100_000])
def test_a_long_message_is_cut(length):
    line = _line_of(UserError("x" * length))
    assert line.startswith("error: xxx")
    assert line.endswith("x ..." if length > 2000 else "xx")
    assert len(line) <= 2011


def test_no_memory_is_no_internal_error():
    assert _line_of(MemoryError()) == "error: out of memory"
