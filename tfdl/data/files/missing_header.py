"""Recognizes tables whose first line is a row, not the names of the columns."""

import itertools

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.pieces import Piece
from tfdl.data.files.readers import NUM_SAMPLED
from tfdl.data.files.tables import read_table
from tfdl.data.labels import is_number

# Words of a name of a column; a text has more.
_MOST_WORDS = 12
# Characters of a value that a message shows.
_MOST_SHOWN = 30


def advice_about_header(piece: Piece) -> str:
    """What to do about a table without a line that names its columns; empty if its first line seems to name them.

    A first line is a row if one of its values is a number, occurs again in its column, or is a long text.

    Args:
        piece: the file.
    """
    if piece.read is not read_table:
        return ""
    names = piece.columns.names
    odd = next((name for name in names if is_number(name) or len(name.split()) > _MOST_WORDS), None)
    if odd is None:
        rows = itertools.islice(piece.rows(), NUM_SAMPLED)
        odd = next(
            (name for row in rows if not isinstance(row, BadRow) for name in names if row[1][name] == name), None
        )
    if odd is None:
        return ""
    shown = odd if len(odd) <= _MOST_SHOWN else f"{odd[: _MOST_SHOWN - 3]}..."
    return (
        f"{piece.path} line 1 looks like a row ({shown!r}), expected a first line that names the columns, such as"
        " text,label: add one"
    )
