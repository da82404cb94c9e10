"""Durations as people write them."""

import re
from typing import Any

import click

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")


class Duration(click.ParamType):
    """A time such as ``3h55m``, ``90m``, ``1d``, ``3:55:00`` or ``600`` (seconds), in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        text = value.strip().lower()
        if text.isdecimal():
            return float(text)
        clock = _CLOCK.fullmatch(text)
        if clock:
            hours, minutes, seconds = map(int, clock.groups())
            return float(hours * 3_600 + minutes * 60 + seconds)
        parts = _PARTS.fullmatch(text)
        if not text or parts is None:
            self.fail(f"{value!r}, expected a time such as 3h55m, 90m, 3:55:00 or 600 (seconds)", param, ctx)
        counts = [int(part or 0) for part in parts.groups()]
        return float(sum(count * size for count, size in zip(counts, _UNITS.values(), strict=True)))
