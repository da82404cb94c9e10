"""Lines of a figure: which of them, thinned out, smoothed, and labelled at their ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfdl.reporting.facts.curves import Series

# Points of a line in a figure. More cannot be seen, and make the page large.
_MOST_POINTS = 240
# A line with fewer points is not smoothed.
_LEAST_SMOOTHED = 24
# Points that a smoothed value looks back on, as a share of all points.
_WINDOW = 0.06


@dataclass(frozen=True)
class Line:
    """A line of a figure."""

    label: str
    series: Series
    look: int
    """Number of the colour, the line style and the marker."""
    has_markers: bool = False
    is_thin: bool = False
    """Whether it stands behind a smoothed line."""


def thinned(series: Series, most: int = _MOST_POINTS) -> Series:
    """Means of neighbouring points, if there are too many points for a figure.

    Args:
        series: any number of points.
        most: points of the result.
    """
    if len(series) <= most:
        return series
    steps = [int(part[-1]) for part in np.array_split(np.array(series.steps), most)]
    values = [float(part.mean()) for part in np.array_split(np.array(series.values), most)]
    return Series(tuple(steps), tuple(values))


def smoothed(series: Series) -> Series | None:
    """An exponential moving average without its bias at the beginning; None for a line of few points.

    Args:
        series: the points.
    """
    if len(series) < _LEAST_SMOOTHED:
        return None
    decay = 1 - 1 / max(2.0, _WINDOW * len(series))
    total = 0.0
    weight = 0.0
    values = []
    for value in series.values:
        total = decay * total + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        values.append(total / weight)
    return Series(series.steps, tuple(values))


def spread_out(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places of labels that do not overlap, as near to where they belong as that allows.

    Args:
        places: where the labels belong, from 0 to 1.
        gap: least distance between two labels.
        low: lowest place.
        high: highest place.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    found = [min(max(places[index], low), high) for index in order]
    for index in range(1, len(found)):
        found[index] = max(found[index], found[index - 1] + gap)
    overflow = max(0.0, found[-1] - high) if found else 0.0
    if overflow:
        found[-1] -= overflow
        for index in range(len(found) - 2, -1, -1):
            found[index] = min(found[index], found[index + 1] - gap)
    result = [0.0] * len(places)
    for index, place in zip(order, found, strict=True):
        result[index] = place
    return result
