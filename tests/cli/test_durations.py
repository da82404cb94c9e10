"""Times on the command line."""

import click
import pytest

from tfdl.cli.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3h55m", 14_100),
        ("90m", 5_400),
        ("1d2h", 93_600),
        ("45s", 45),
        ("600", 600),
        ("3:55:00", 14_100),
        ("0:00:30", 30),
        (" 2H ", 7_200),
        (12.5, 12.5),
    ],
)
def test_times(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "h", "3x", "5m3h", "-5m", "1:60:00", "1:30", "1.5h"])
def test_what_is_no_time(text):
    with pytest.raises(click.BadParameter, match="expected a time such as 3h55m"):
        Duration().convert(text, None, None)
