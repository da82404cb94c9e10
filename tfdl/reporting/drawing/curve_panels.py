"""Which panels of curves a report has, for one run and for several."""

from collections.abc import Iterator, Sequence

from tfdl.reporting.drawing.curve_panel import Panel
from tfdl.reporting.drawing.lines import Line, smoothed, thinned
from tfdl.reporting.facts.curves import Series
from tfdl.reporting.facts.run_facts import RunFacts
from tfdl.reporting.reported_run import ReportedRun

_TRAINING, _VALIDATION = 0, 1


def run_panels(facts: RunFacts) -> list[Panel]:
    """The panels of one run: losses, the main metric, learning rate, speed. A panel without a line is left
    out: the tables have a single value.

    Args:
        facts: of the run.
    """
    curves = facts.curves
    epochs = curves.epochs
    marks = tuple(step for step, _ in curves.rank_changes)
    panels = []
    for metric in _metrics(facts):
        lines = [
            *_with_smoothed("training", curves.training.get(metric, Series()), _TRAINING),
            Line("validation", thinned(curves.validation.get(metric, Series())), _VALIDATION, has_markers=True),
        ]
        panels.append(Panel(metric, metric_title(metric), tuple(lines), epochs, marks, metric != "accuracy"))
    rate = Line("", thinned(curves.learning_rate), _TRAINING)
    panels.append(Panel("learning_rate", "Learning rate", (rate,), epochs, marks, from_zero=True))
    speed = tuple(_with_smoothed("", curves.examples_per_second, _TRAINING))
    panels.append(Panel("speed", "Examples per second", speed, epochs, marks, may_be_log=False, from_zero=True))
    return [panel for panel in panels if any(len(line.series) > 1 for line in panel.lines)]


def compared_panels(runs: Sequence[ReportedRun]) -> list[Panel]:
    """The same for several runs, with a line for each.

    Args:
        runs: of the report.
    """
    panels = [_compared("training_loss", "Training loss", runs, [_trained(run) for run in runs])]
    for metric in dict.fromkeys(metric for run in runs for metric in _metrics(run.facts)):
        series = [run.facts.curves.validation.get(metric, Series()) for run in runs]
        title = f"Validation {metric.replace('_', ' ')}"
        panels.append(_compared(f"validation_{metric}", title, runs, series, has_markers=True))
    rates = [run.facts.curves.learning_rate for run in runs]
    panels.append(_compared("learning_rate", "Learning rate", runs, rates))
    speeds = [_smooth(run.facts.curves.examples_per_second) for run in runs]
    panels.append(_compared("speed", "Examples per second", runs, speeds))
    return [panel for panel in panels if panel.lines]


def metric_title(metric: str) -> str:
    """A metric's name as a title.

    Args:
        metric: such as ``exact_match``.
    """
    words = metric.replace("_", " ")
    return words[:1].upper() + words[1:]


def _metrics(facts: RunFacts) -> list[str]:
    """The loss and the main metric."""
    main = facts.listed.metric
    names = ["loss"] if main in (None, "loss") else ["loss", str(main)]
    return [name for name in names if name in facts.curves.training or name in facts.curves.validation]


def _with_smoothed(label: str, series: Series, look: int) -> Iterator[Line]:
    """A thin line and a smoothed one; of few points the line alone."""
    average = smoothed(series)
    if average is None:
        yield Line(label, series, look)
        return
    yield Line("", thinned(series), look, is_thin=True)
    yield Line(label, thinned(average), look)


def _smooth(series: Series) -> Series:
    return smoothed(series) or series


def _trained(run: ReportedRun) -> Series:
    return _smooth(run.facts.curves.training.get("loss", Series()))


def _compared(
    name: str, title: str, runs: Sequence[ReportedRun], series: Sequence[Series], *, has_markers: bool = False
) -> Panel:
    lines = [
        Line(run.letter, thinned(each), number, has_markers=has_markers)
        for number, (run, each) in enumerate(zip(runs, series, strict=True))
        if len(each)
    ]
    # Steps of different runs may be of different epochs.
    return Panel(
        name,
        title,
        tuple(lines),
        Series(),
        (),
        may_be_log=name not in ("validation_accuracy", "speed"),
        from_zero=name in ("learning_rate", "speed"),
    )
