"""Tells whether an error is this rank's own, another rank's, or common to all ranks."""


def is_broken_collective(error: BaseException) -> bool:
    """Whether a collective failed on this rank. Another rank caused it, for example by dying."""
    if type(error).__name__ == "HorovodInternalError":
        return True
    is_from_tensorflow = type(error).__module__.startswith("tensorflow.")
    return is_from_tensorflow and "Horovod" in str(error)


def is_shared(error: BaseException) -> bool:
    """Whether every rank ends with the same error or the same request to stop, so that no rank has to report it."""
    return getattr(error, "agreed", False) or not isinstance(error, Exception)


def first_line(error: BaseException) -> str:
    """The error's type and the first line of its text, such as ``error: ValueError: too short``."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    if lines and lines[0]:
        return f"error: {name}: {lines[0]}"
    return f"error: {name}"
