"""What the page shows of one run."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfdl.reporting.drawing.curve_panels import run_panels
from tfdl.reporting.drawing.figures import panel_svg
from tfdl.reporting.facts.curves import Series
from tfdl.reporting.measuring.measured import Classes, Mistake
from tfdl.reporting.page.descriptions import describe_panel
from tfdl.reporting.page.results import ResultsTable, Row, cost_rows, environment_rows, results_table
from tfdl.reporting.reported_run import ReportedRun
from tfdl.reporting.text_values import setting

MOST_DRAWN_CLASSES = 40
"""Confusion matrices of more classes are not drawn; the most confused pairs are listed."""
# Classes whose cells have room for the share below the count.
_MOST_WITH_SHARES = 12
# Characters of a class that fit above a column of the matrix.
_LONGEST_UPRIGHT = 6
# Validations that the table below the curves lists.
_MOST_VALIDATIONS = 60
# Bytes of images in a page, over all runs.
_MOST_IMAGE_BYTES = 400_000


@dataclass(frozen=True)
class MatrixCell:
    """A cell of the confusion matrix."""

    count: int
    share: float
    """Of the row."""
    is_right: bool


@dataclass(frozen=True)
class ValidationTable:
    """The values of the curves."""

    metrics: tuple[str, ...]
    rows: tuple[tuple[int, tuple[float | None, ...]], ...]
    """A step, and a value for each metric."""
    num_left_out: int


@dataclass(frozen=True)
class RunView:
    """What the page shows of one run."""

    run: ReportedRun
    figures: tuple[str, ...]
    results: ResultsTable
    cost: tuple[Row, ...]
    environment: tuple[Row, ...]
    settings: tuple[Row, ...]
    validations: ValidationTable
    matrix: tuple[tuple[MatrixCell, ...], ...]
    """Rows of the confusion matrix; empty if it is not drawn."""
    has_shares: bool
    has_long_names: bool
    """Whether a name above the matrix is wider than its column."""
    mistakes: tuple[tuple[Mistake, str], ...]
    """With the image as a data URI, or an empty text."""


def run_view(run: ReportedRun, num_runs: int) -> RunView:
    """Prepares a run for the page.

    Args:
        run: the run.
        num_runs: of the report, which share the page's bytes.
    """
    panels = run_panels(run.facts)
    classes = run.measured.classes if run.measured is not None else None
    figures = [panel_svg(panel, f"run-{run.letter}", describe_panel(panel)) for panel in panels]
    return RunView(
        run=run,
        figures=tuple(figures),
        results=results_table(run),
        cost=tuple(cost_rows(run)),
        environment=tuple(environment_rows(run)),
        settings=tuple((key, setting(value)) for key, value in run.facts.listed.config.items()),
        validations=_validations(run.facts.curves.validation),
        matrix=tuple(_matrix(classes)) if classes is not None else (),
        has_shares=classes is not None and len(classes.names) <= _MOST_WITH_SHARES,
        has_long_names=classes is not None and max(map(len, classes.names), default=0) > _LONGEST_UPRIGHT,
        mistakes=tuple(_with_uris(classes.mistakes, _MOST_IMAGE_BYTES // num_runs)) if classes is not None else (),
    )


def _matrix(classes: Classes) -> Iterator[tuple[MatrixCell, ...]]:
    if len(classes.names) > MOST_DRAWN_CLASSES:
        return
    for row, counts in enumerate(classes.counts.tolist()):
        support = max(1, sum(counts))
        yield tuple(MatrixCell(count, count / support, row == column) for column, count in enumerate(counts))


def _with_uris(mistakes: Sequence[Mistake], most_bytes: int) -> Iterator[tuple[Mistake, str]]:
    """The mistakes whose images fit into the page."""
    used = 0
    for mistake in mistakes:
        if mistake.image is None:
            yield mistake, ""
            continue
        encoded = base64.b64encode(mistake.image).decode()
        used += len(encoded)
        if used > most_bytes:
            return
        yield mistake, f"data:image/png;base64,{encoded}"


def _validations(validation: Mapping[str, Series]) -> ValidationTable:
    steps = sorted({step for series in validation.values() for step in series.steps})
    count = min(_MOST_VALIDATIONS, len(steps))
    # The last one is always there.
    chosen = [steps[(number + 1) * len(steps) // count - 1] for number in range(count)]
    by_metric = [dict(zip(series.steps, series.values, strict=True)) for series in validation.values()]
    rows = [(step, tuple(values.get(step) for values in by_metric)) for step in chosen]
    return ValidationTable(tuple(validation), tuple(rows), len(steps) - count)
