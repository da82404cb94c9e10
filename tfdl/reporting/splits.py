"""The splits of a data set."""

from tfdl.errors import UserError, nearest

_SPLITS = ("train", "validation", "test")


def check_split(split: str) -> None:
    """Checks the name of a split, also of a report that opens no data set.

    Args:
        split: as the user gave it.

    Raises:
        UserError: there is no such split.
    """
    if split not in _SPLITS:
        raise UserError(f"split {split!r}, expected one of {', '.join(_SPLITS)}.{nearest(split, _SPLITS)}")
