"""Lines of a table as rows of values. No line is lost: each is part of a row, wrong, or blank."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MARK = '"'
_NOT_CLOSED = "a quotation mark that is not closed"
# Characters of a value in quotation marks. A mark that is not closed by then is taken for one that never is.
_LONGEST_VALUE = 2**26


def split_rows(lines: Iterable[str], delimiter: str, *, has_quoting: bool) -> Iterator[tuple[int, list[str] | str]]:
    """Rows as RFC 4180 describes them: a value that begins with a quotation mark ends at the next one.

    Within it, two marks stand for one, and delimiters and line ends are characters. A mark within another value is a
    character. If a value in marks does not end before a delimiter or the end of a line, its first line alone is wrong,
    and the next row begins with the line after it.

    Args:
        lines: with their line ends.
        delimiter: what separates values.
        has_quoting: False if quotation marks are characters like others.

    Yields:
        The number of the row's first line, from 1, and its values, or the reason why it is no row. Blank lines are left
        out.
    """
    source = _Lines(lines)
    while (text := source.take()) is not None:
        line = source.number
        if has_quoting and MARK in text:
            yield line, _quoted_row(text, source, delimiter)
        elif bare := without_end(text):
            yield line, bare.split(delimiter)


@dataclass
class QuotedRows:
    """Rows with a value that begins with a quotation mark."""

    num_good: int = 0
    """Rows in which each such value ends with one. Neither the first nor the last of their lines is a row itself."""
    num_wrong: int = 0
    """All others."""
    first_wrong: int | None = None
    """The first line of the first of them."""
    num_long: int = 0
    """Good rows with a value that spans several lines."""


def count_quoted(lines: Iterable[str], delimiter: str) -> QuotedRows:
    """Counts the rows that can be read with quoting, to find out whether a table has any.

    Args:
        lines: with their line ends.
        delimiter: what separates values.
    """
    source = _Lines(lines)
    found = QuotedRows()
    num_columns = 0
    while (text := source.take()) is not None:
        line = source.number
        if not text.startswith(MARK) and f"{delimiter}{MARK}" not in text:
            num_columns = num_columns or without_end(text).count(delimiter) + bool(without_end(text))
            continue
        values = _quoted_row(text, source, delimiter)
        is_long = source.number > line
        # Two unrelated marks may enclose the end of one row and the beginning of another.
        are_several = is_long and min(text.count(delimiter), source.last.count(delimiter)) >= max(1, num_columns - 1)
        if isinstance(values, str) or are_several:
            found.num_wrong += 1
            found.first_wrong = found.first_wrong or line
            continue
        num_columns = num_columns or len(values)
        found.num_good += 1
        found.num_long += is_long
    return found


def without_end(text: str) -> str:
    """A line without its line end."""
    return text.removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True)
class _Failure:
    """Why a row that began earlier is none, and the lines that it went through within quotation marks."""

    first: int
    last: int
    reason: str


class _Lines:
    """Lines that can be put back.

    Args:
        lines: with their line ends.
    """

    def __init__(self, lines: Iterable[str]):
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.number = 0
        """Of the last line that was taken."""
        self.last = ""
        """The last line that was taken."""
        self.failure = _Failure(0, -1, "")
        """Of the last row that is none."""
        self.is_at_end = False
        """Whether a row has asked for a line after the last one."""

    def take(self) -> str | None:
        """The next line; ``None`` at the end."""
        text = self._again.popleft() if self._again else next(self._lines, None)
        if text is not None:
            self.number += 1
            self.last = text
        else:
            self.is_at_end = True
        return text

    def meets_failure(self) -> bool:
        """Whether a row within quotation marks ends as an earlier one did, since that went through the next line.

        Without this, a file whose every line opens a value would be read once for each of its lines.
        """
        return self.failure.first <= self.number + 1 <= self.failure.last

    def put_back(self, lines: list[str]) -> None:
        """Makes the last lines that were taken the next ones again."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)


def _quoted_row(text: str, source: _Lines, delimiter: str) -> list[str] | str:
    """The values of a row that begins with the line ``text``, or the reason why it is none."""
    values: list[str] = []
    taken: list[str] = []
    place = 0
    while True:
        if not text.startswith(MARK, place):
            end = text.find(delimiter, place)
            if end < 0:
                values.append(without_end(text[place:]))
                return values
            values.append(text[place:end])
            place = end + 1
            continue
        value, text, place = _quoted_value(text, place + 1, source, taken)
        if value is None:
            return _failed(source, taken, _NOT_CLOSED)
        values.append(value)
        if not without_end(text[place:]):
            return values
        if not text.startswith(delimiter, place):
            return _failed(source, taken, "text after the quotation mark that closes a value")
        place += 1


def _failed(source: _Lines, taken: list[str], reason: str) -> str:
    """Puts back all lines of a row but its first, and returns why it is none."""
    if source.meets_failure():
        reason = source.failure.reason
        source.put_back(taken)
        return reason
    source.put_back(taken)
    # A value that is too long may be short enough from a later line on.
    if taken and (reason != _NOT_CLOSED or source.is_at_end):
        source.failure = _Failure(source.number + 1, source.number + len(taken), reason)
    source.is_at_end = False
    return reason


def _quoted_value(text: str, place: int, source: _Lines, taken: list[str]) -> tuple[str | None, str, int]:
    """A value from after its first mark to its last.

    Args:
        text: the line that it begins in.
        place: of its first character.
        source: further lines.
        taken: gets the lines that were taken from ``source``.

    Returns:
        The value (``None`` if it does not end), the line that it ends in, and the place after its last mark.
    """
    parts: list[str] = []
    num_characters = 0
    while True:
        end = text.find(MARK, place)
        if end >= 0:
            parts.append(text[place:end])
            place = end + 1
            if not text.startswith(MARK, place):
                return "".join(parts), text, place
            parts.append(MARK)
            place += 1
            continue
        parts.append(text[place:])
        num_characters += len(text)
        may_continue = num_characters <= _LONGEST_VALUE and not source.meets_failure()
        following = source.take() if may_continue else None
        if following is None:
            return None, text, place
        taken.append(following)
        text = following
        place = 0
