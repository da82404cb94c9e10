"""Makes a report of runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.distributed.launchers import find_launch
from tfdl.errors import UserError
from tfdl.reporting.comparison import Comparison, compare
from tfdl.reporting.comparison_findings import comparison_findings
from tfdl.reporting.drawing.curve_panels import compared_panels, run_panels
from tfdl.reporting.drawing.figures import confusion_png, panel_svg, panels_png
from tfdl.reporting.facts.run_facts import RunFacts, read_facts
from tfdl.reporting.facts.training_findings import recorded_result, state_finding, training_findings
from tfdl.reporting.findings import Finding
from tfdl.reporting.measuring.measured_findings import measured_findings
from tfdl.reporting.not_finite import not_finite_results
from tfdl.reporting.page.descriptions import describe_panel
from tfdl.reporting.page.render import Page, render
from tfdl.reporting.page.run_view import MOST_DRAWN_CLASSES, run_view
from tfdl.reporting.report_output import report_output
from tfdl.reporting.reported_run import ReportedRun
from tfdl.reporting.splits import check_split
from tfdl.reporting.text_values import checkpoint_words
from tfdl.runs.run_directory import RunDirectory

_FILES_ALONE = "Made from the files of the run alone: without the model there are no classes, mistakes and samples."


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    page: Path
    """The HTML file."""
    files: tuple[Path, ...]
    """All files, the page first."""
    runs: tuple[ReportedRun, ...]
    """What is known of each run."""
    comparison: Comparison | None
    """None for a single run."""
    findings: tuple[Finding, ...]
    """What was found out: about all runs first, then of each run."""


def report(
    runs: str | Path | RunDirectory | Sequence[str | Path | RunDirectory],
    output: str | Path | None = None,
    *,
    split: str = "test",
    checkpoint: str = "last",
    use_model: bool = True,
    data: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Report:
    """Writes a page about one run, or about several runs side by side.

    The page has curves, results, classes, mistakes, samples of texts, cost and configuration. It is one HTML file that
    loads nothing. Beside it are the figures as PNG files.

    Args:
        runs: one run directory or several.
        output: a folder, or a file that ends with ``.html`` for the page alone. Defaults to the folder ``report`` in
            the run, or of several runs in the working directory.
        split: the split that the models answer: ``train``, ``validation`` or ``test``.
        checkpoint: the weights to use: ``last``, ``best``, or a folder's name.
        use_model: whether the models are evaluated. Otherwise the files of the runs are read, which is quick and needs
            no TensorFlow, and the report has neither classes nor mistakes nor samples.
        data: the splits, for runs whose data Python code passed to ``tfdl.train(data=...)``.
        overwrite: whether to replace an earlier report.

    Returns:
        The files, and what was found out.

    Raises:
        UserError: no run, a damaged run, no such split or checkpoint, parts of a plugin that was not imported, or an
            output that cannot be used, or several ranks.
    """
    given = [runs] if isinstance(runs, str | Path | RunDirectory) else list(runs)
    if not given:
        raise UserError("no runs, expected at least one run directory to report on")
    check_split(split)
    num_ranks = find_launch().size
    if num_ranks > 1:
        raise UserError(f"report on {num_ranks} ranks, expected 1 rank; start it without horovodrun")
    paths = [each.path if isinstance(each, RunDirectory) else Path(each) for each in given]
    facts = [read_facts(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    target = report_output(output, paths, overwrite=overwrite)
    if use_model:
        from tfdl.reporting.measuring.all_runs import measure_all

        measured = measure_all(facts, split, checkpoint, data)
    else:
        measured = [None] * len(facts)
    reported = [_reported(*each) for each in zip(_letters(len(facts)), facts, measured, strict=True)]
    comparison = compare(reported, split) if len(reported) > 1 else None
    about_all = tuple(comparison_findings(reported, comparison)) if comparison is not None else ()
    page = Page(
        title=reported[0].name if comparison is None else f"{len(reported)} runs: {', '.join(_short(reported))}",
        views=[run_view(each, len(reported)) for each in reported],
        findings=about_all,
        comparison=comparison,
        compared_figures=[] if comparison is None else compared_figures(reported),
        note="" if use_model else _FILES_ALONE,
    )
    files = target.write(render(page), {} if target.is_file else _png_files(reported))
    findings = (*about_all, *(finding for each in reported for finding in each.findings))
    return Report(target.page, tuple(files), tuple(reported), comparison, findings)


def _reported(letter: str, facts: RunFacts, measured: Any) -> ReportedRun:
    is_measured = measured is not None and not measured.problem
    findings = list(training_findings(facts, measured.checkpoint if is_measured else ""))
    if measured is not None:
        findings = [*measured_findings(measured, facts.name), *findings]
    if not is_measured:
        for split, metrics in (("validation", facts.listed.validation), ("test", facts.listed.test)):
            findings += not_finite_results(metrics, split, facts.name)
    if not any(finding.name == "guessing" for finding in findings):
        findings = [*recorded_result(facts), *findings]
    return ReportedRun(letter, facts, measured, (*state_finding(facts), *findings))


def _names(paths: Sequence[Path]) -> list[str]:
    """The names of the runs' folders, or their paths as they were given if two names are equal."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _letters(count: int) -> Iterable[str]:
    """``A`` to ``Z``, ``AA``, ``AB`` and so on."""
    for number in range(count):
        letters = ""
        rest = number
        while rest >= 0:
            letters = chr(ord("A") + rest % 26) + letters
            rest = rest // 26 - 1
        yield letters


def _short(runs: Sequence[ReportedRun], most: int = 3) -> list[str]:
    names = [run.name for run in runs[:most]]
    return names if len(runs) <= most else [*names, "…"]


def compared_figures(runs: Sequence[ReportedRun]) -> list[str]:
    """The curves of all runs side by side, as SVG.

    Args:
        runs: of the report.
    """
    return [panel_svg(panel, "all", describe_panel(panel)) for panel in compared_panels(runs)]


def _png_files(runs: Sequence[ReportedRun]) -> dict[str, bytes]:
    """Name -> figure. The files of one of several runs begin with its letter."""
    files = {}
    if len(runs) > 1 and (panels := compared_panels(runs)):
        files["curves.png"] = panels_png(panels, ", ".join(f"{run.letter}: {run.name}" for run in runs))
    for run in runs:
        prefix = f"{run.letter}-" if len(runs) > 1 else ""
        if panels := run_panels(run.facts):
            files[f"{prefix}curves.png"] = panels_png(panels, run.name)
        measured = run.measured
        if measured is None or measured.classes is None or len(measured.classes.names) > MOST_DRAWN_CLASSES:
            continue
        title = f"{run.name}: {measured.split} split, {checkpoint_words(measured.checkpoint)}"
        figure = confusion_png(measured.classes.counts, measured.classes.names, title)
        files[f"{prefix}confusion_matrix.png"] = figure
    return files
