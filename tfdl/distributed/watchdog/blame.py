"""Whose doing an error is."""


def is_broken_collective(error: BaseException) -> bool:
    """Whether a collective failed under this rank, which is another rank's doing."""
    if type(error).__name__ == "HorovodInternalError":
        return True
    is_of_tensorflow = type(error).__module__.startswith("tensorflow.")
    return is_of_tensorflow and ("Horovod" in str(error))


def is_shared(error: BaseException) -> bool:
    """Whether every rank ends with this error or by this wish, so that nobody needs to be told."""
    return getattr(error, "agreed", False) or not isinstance(error, Exception)


def first_line(error: BaseException) -> str:
    """``error: ValueError: too short``."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"error: {type(error).__name__}: {text}" if text else f"error: {type(error).__name__}"
