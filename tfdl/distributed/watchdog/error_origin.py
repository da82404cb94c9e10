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
