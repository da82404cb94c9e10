"""Colours of figures: names of CSS variables for the page, and real colours for PNG files."""

from dataclasses import dataclass

LINE_STYLES = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
"""Lines can be told apart without their colour."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Palette:
    """The colours of a figure. Each is a hexadecimal colour as matplotlib reads it."""

    ink: str
    muted: str
    grid: str
    surface: str
    series: tuple[str, ...]

    def color(self, number: int) -> str:
        """The colour of a series.

        Args:
            number: of the series, from 0; colours repeat.
        """
        return self.series[number % len(self.series)]


LIGHT = Palette(
    ink="#1b1f24",
    muted="#57606a",
    grid="#dde2e8",
    surface="#ffffff",
    series=("#0b62b8", "#b8440b", "#0f7a6c", "#7b3fb8", "#8a6100", "#b3246b", "#4a5560"),
)
"""For PNG files, with a light background."""

VARIABLES = Palette(
    ink="#010a01",
    muted="#010a02",
    grid="#010a03",
    surface="#010a04",
    series=tuple(f"#010b{number:02x}" for number in range(len(LIGHT.series))),
)
"""For the page: colours that occur nowhere else, and that ``with_variables`` replaces."""
_NAMES = {
    VARIABLES.ink: "var(--ink)",
    VARIABLES.muted: "var(--muted)",
    VARIABLES.grid: "var(--grid)",
    VARIABLES.surface: "var(--surface)",
    **{color: f"var(--series-{number})" for number, color in enumerate(VARIABLES.series)},
}


def with_variables(svg: str) -> str:
    """Replaces the colours of ``VARIABLES`` with CSS variables, which are other colours in dark mode.

    Args:
        svg: a figure.
    """
    for color, variable in _NAMES.items():
        svg = svg.replace(color, variable)
    return svg
