"""Values as short texts, for findings and tables."""

import math

# Larger values are in no run; a damaged file may have any.
_MOST = 10**18
_LARGEST = 10**300
_LONG = 1e12


def number(value: float) -> str:
    """A metric: four digits after the point, fewer for large numbers, powers of ten for very small or large ones."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and (size < 0.0001 or size >= 1e7):
        return f"{value:.3g}"
    if size < 100:
        return f"{value:.4f}"
    return f"{value:,.1f}"


def change(value: float) -> str:
    """As ``number``, always with a sign."""
    text = number(value)
    return text if text.startswith("-") else f"+{text}"


def percent(share: float) -> str:
    """A share as a percentage with one digit after the point, or none if it is large."""
    value = 100 * share
    return f"{value:,.0f}%" if abs(value) >= 100 else f"{value:.1f}%"


def count(value: int) -> str:
    """A whole number with commas. A damaged file may have one of thousands of digits, which is not written out."""
    return f"{value:,}" if abs(value) < _MOST else "over 10^18"


def counted(value: int, noun: str) -> str:
    """A number of things, such as ``1 sample`` or ``1,200 samples``.

    Args:
        value: how many.
        noun: in the singular; its plural ends with s.
    """
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def tenths(value: float) -> str:
    """A number with one digit after the point, such as a speed; a power of ten if it is very large."""
    return f"{value:,.1f}" if abs(value) < _LONG else f"{value:.3g}"


def checkpoint_words(name: str) -> str:
    """A checkpoint's folder in words: ``step 460`` for ``step-00000460``; another name as it is."""
    digits = name.removeprefix("step-")
    is_step = name.startswith("step-") and digits.isdecimal()
    return f"step {count(int(digits))}" if is_step else name


def large(value: float) -> str:
    """A large number in few digits: ``1.25e9`` is ``1.25 G``."""
    if value >= _LARGEST:
        return "over 10^300"
    for factor, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration: ``1 h 05 min``, ``3 min 07 s`` or ``9.8 s``."""
    if seconds >= _LONG:
        return f"{seconds:.3g} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds_of_minute = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {seconds_of_minute:02} s"


def setting(value: object) -> str:
    """A value of a configuration, as YAML would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= _MOST:
        return count(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(setting(part) for part in value)}]"
    return str(value)
