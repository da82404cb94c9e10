"""Messages of foreign errors become one readable line."""

import pytest

from tfdl.errors import first_line, in_one_line, nearest


def test_the_first_line_has_no_terminal_codes_and_is_never_empty() -> None:
    error = ValueError("\n\x1b[1mInput 0 of layer dense\x1b[0m is wrong\nArguments received: ...")
    assert first_line(error) == "Input 0 of layer dense is wrong"
    assert first_line(KeyError()) == "KeyError"


def test_a_long_message_ends_between_words() -> None:
    line = in_one_line("\x1b[31mone\x1b[0m\n  two " + "three " * 100)
    assert line.startswith("one two three three")
    assert line.endswith(" three ...")
    assert len(line) <= 300
    assert in_one_line("short\nmessage") == "short message"


@pytest.mark.parametrize(
    ("received", "suggestion"),
    [
        ("digts", " Did you mean 'digits'?"),
        ("CNN", " Did you mean 'cnn'?"),
        ("cifar", " Did you mean 'CIFAR10'?"),
        ("lstm", " Did you mean 'lstm-small'?"),
        ("LSTM", " Did you mean 'lstm-small'?"),
        ("val", " Did you mean 'validation'?"),
        ("l", ""),
        ("tests", ""),
    ],
)
def test_the_nearest_name_is_suggested_in_any_case_and_by_its_beginning(received, suggestion) -> None:
    known = ["cnn", "digits", "CIFAR10", "lstm-small", "lstm-large", "validation"]
    assert nearest(received, known) == suggestion
