"""Tables that are made to be read slowly."""

import time

import pytest

from tfdl.data.files.rows import ReadOptions
from tfdl.data.files.table_rows import count_quoted, split_rows
from tfdl.data.files.tables import table_columns
from tfdl.errors import UserError

# Each line closes one value in quotation marks and opens another.
OPEN = 'a","\n'


@pytest.mark.parametrize("line", [OPEN, 'x,"\n', '"a\n', 'a","b","\n', '"""\n', OPEN + "b\n"])
@pytest.mark.parametrize("read", [lambda lines: list(split_rows(lines, ",", has_quoting=True)),
                                  lambda lines: count_quoted(lines, ",")])  # fmt: skip
def test_the_time_grows_with_the_lines(read, line):
    """With its square it would be some minutes."""
    lines = line.splitlines(keepends=True) * 20_000
    begin = time.monotonic()
    read(lines)
    assert time.monotonic() - begin < 10


def plainly(lines):
    """The same rows, each read without what is known of the rows before it."""
    rows = []
    place = 0
    while place < len(lines):
        found = next(split_rows(lines[place:], ",", has_quoting=True), None)
        if found is None:
            break
        number, values = found
        rows.append((place + number, values))
        rest = list(split_rows(lines[place:], ",", has_quoting=True))
        place += rest[1][0] - 1 if len(rest) > 1 else len(lines)
    return rows


@pytest.mark.parametrize(
    "text",
    [
        OPEN * 6,
        OPEN * 3 + 'x"\nb,c\n' + OPEN * 2,
        OPEN * 3 + 'x"y\n' + OPEN + 'b"\nc,d\n',
        'a,"b\nc\n"d,"e"\nf,g\n',
        'a,"b\n' * 3 + '"\n' + "c,d\n" * 2,
        '"a","\n\n","b"\n' + OPEN,
    ],
)
def test_the_rows_are_the_same_as_without_what_is_remembered(text):
    lines = text.splitlines(keepends=True)
    assert list(split_rows(lines, ",", has_quoting=True)) == plainly(lines)


def test_too_many_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"c{number}" for number in range(100_001)) + "\n")
    with pytest.raises(UserError, match=r"a.csv line 1 has 100,001 columns, expected at most 100,000"):
        table_columns(path, ReadOptions())
