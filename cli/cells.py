"""Values as short texts, for tables and lines."""

# Larger values are in no run; a damaged file may have any.
_MOST = 10**18
_LONG = 1e12


def printable(text: str) -> str:
    """A text in one line, in which characters that would control the terminal are escaped.

    Args:
        text: from a file, or the name of one.
    """
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)


def duration(seconds: float) -> str:
    """Formats a duration: ``1h 05m``, ``3m 07s`` or ``9s``; seconds in a power of ten if no run takes so long.

    Args:
        seconds: the duration.
    """
    if seconds >= _LONG:
        return f"{seconds:.3g}s"
    minutes, seconds_of_minute = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    if minutes:
        return f"{minutes}m {seconds_of_minute:02}s"
    return f"{seconds_of_minute}s"


def count(value: int) -> str:
    """Formats a whole number with commas. A damaged file may have one of thousands of digits, which is not written."""
    return f"{value:,}" if abs(value) < _MOST else "over 10^18"


def metric(value: float) -> str:
    """Formats a metric: four digits after the point, or one if it is large, such as a perplexity at the beginning."""
    if abs(value) < 1000:
        return f"{value:.4f}"
    return f"{value:,.1f}" if abs(value) < _LONG else f"{value:.3g}"


def moment(seconds: float) -> str:
    """Formats a time in this machine's time zone: ``2026-11-29 20:09``.

    Args:
        seconds: since 1970.
    """
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
