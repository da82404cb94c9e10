"""Lines about quotation marks in the user's tables."""

from collections.abc import Sequence

from tfdl.data.files.pieces import Piece
from tfdl.data.files.tables import quoting_of, read_table


def quoting_notes(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """One line about all tables whose marks are characters, and one about values that span several lines.

    Args:
        pieces: the files.
    """
    found = [(piece.path, quoting_of(piece.path, piece.options)) for piece in pieces if piece.read is read_table]
    unquoted = [(path, quoting) for path, quoting in found if not quoting.is_used]
    long = [(path, quoting.num_long) for path, quoting in found if quoting.num_long]
    notes = []
    if unquoted:
        path, first = unquoted[0]
        where = str(path) if len(unquoted) == 1 else f"{len(unquoted):,} tables"
        example = f"line {first.line}" if len(unquoted) == 1 else f"the first: {path} line {first.line}"
        notes.append(
            f"{where}: quotation marks are read as characters, since many values that begin with one do not end with"
            f" one ({example})"
        )
    if long:
        num_rows = sum(count for _, count in long)
        where = str(long[0][0]) if len(long) == 1 else f"{len(long):,} tables"
        noun = "row has" if num_rows == 1 else "rows have"
        notes.append(f"{where}: {num_rows:,} {noun} values in quotation marks that span several lines")
    return tuple(notes)
