"""Findings about a run's training, from its files alone."""

from collections.abc import Iterator

from tfdl.reporting.facts.best_checkpoint import BestCheckpoint
from tfdl.reporting.facts.run_facts import RunFacts
from tfdl.reporting.findings import Finding, Kind
from tfdl.reporting.text_values import count, counted, number, percent
from tfdl.tasks.metric_directions import larger_is_better

# How much the validation loss must have risen above its lowest value, and for how many validations, to be reported.
_RISE = 0.02
_LEAST_VALIDATIONS = 2


def training_findings(facts: RunFacts, measured: str = "") -> Iterator[Finding]:
    """What the files of a run say about its training.

    Args:
        facts: of the run.
        measured: the folder's name of the checkpoint that the report measures; empty for none.
    """
    yield from _damaged_lines(facts)
    yield from _not_finite(facts)
    yield _best(facts, measured)
    yield from _overfitting(facts)
    yield from _rank_changes(facts)


def state_finding(facts: RunFacts) -> Iterator[Finding]:
    """The state of a run that has not finished.

    Args:
        facts: of the run.
    """
    listed = facts.listed
    if listed.state in ("finished", "imported"):
        return
    text = f"The run has not finished ({listed.state}): {listed.reason}."
    yield Finding("state", "warning", text, facts.name, {"state": listed.state, "reason": listed.reason})


def _damaged_lines(facts: RunFacts) -> Iterator[Finding]:
    number_of_lines = facts.curves.num_damaged
    if number_of_lines:
        text = f"{counted(number_of_lines, 'line')} of metrics.jsonl cannot be read; the curves are without them."
        yield Finding("damaged_lines", "warning", text, facts.name, {"lines": number_of_lines})


def _not_finite(facts: RunFacts) -> Iterator[Finding]:
    steps = facts.curves.not_finite
    if steps:
        reports = counted(len(steps), "report")
        text = f"The training loss was NaN or infinite in {reports}, first at step {count(steps[0])}."
        yield Finding("not_finite", "warning", text, facts.name, {"first_step": steps[0], "reports": len(steps)})


def _best(facts: RunFacts, measured: str) -> Finding:
    best = facts.best
    if best is None:
        return Finding("best_checkpoint", "note", "No best checkpoint is known.", facts.name)
    metric = f"validation {best.metric}" if best.metric else "the monitored metric"
    values = {
        "step": best.step,
        "metric": best.metric,
        "value": best.value,
        "checkpoint": best.name,
        "last_step": best.last_step,
        "last_value": best.last_value,
        "last": best.last,
    }
    if best.last == "same":
        text = f"The last checkpoint, step {count(best.step)}, is also the best, by {metric} ({number(best.value)})."
        return Finding("best_checkpoint", "good", text, facts.name, values)
    kind, about_last = _about_last(facts, best)
    text = f"The best checkpoint is that of step {count(best.step)}, by {metric} ({number(best.value)}). {about_last}"
    if best.name is None:
        text += ". Its folder is not in the run any more."
    elif best.name == measured:
        text += "; this report measures the best."
    elif best.last == "worse":
        text += "; use the best with --checkpoint best."
    else:
        text += "."
    return Finding("best_checkpoint", kind, text, facts.name, values)


def _about_last(facts: RunFacts, best: BestCheckpoint) -> tuple[Kind, str]:
    """What the last checkpoint is, compared with the best one that was recorded."""
    last = f"The last one, step {count(best.last_step)},"
    value = "" if best.last_value is None else f" ({number(best.last_value)})"
    if best.last == "not validated":
        return "note", f"{last} was not validated"
    if best.last == "equal":
        return "good", f"{last} is as good"
    if best.last == "better":
        return "note", f"{last} is better{value}, but the run did not record it as the best"
    if best.last == "not comparable":
        return "note", f"{last} was not recorded as the best{value}"
    if _is_small(facts, best):
        samples = counted(facts.num_samples["validation"], "sample")
        return "note", f"{last} is worse{value}, a small difference for {samples}"
    return "warning", f"{last} is worse{value}"


def _is_small(facts: RunFacts, best: BestCheckpoint) -> bool:
    """Whether the interval of the last checkpoint's metric contains the best value.

    Both answered the same samples, so it is no test of their difference, only a measure of how large it is.
    """
    if best.metric is None:
        return False
    interval = facts.interval_of("validation", best.metric, best.last_value)
    return interval is not None and interval.low <= best.value <= interval.high


def _overfitting(facts: RunFacts) -> Iterator[Finding]:
    """The validation loss rose while the training loss fell."""
    validation = facts.curves.validation.get("loss")
    training = facts.curves.training.get("loss")
    if not validation or not training:
        return
    lowest = min(range(len(validation)), key=lambda index: validation.values[index])
    step, value = validation.steps[lowest], validation.values[lowest]
    last_step, last_value = validation.steps[-1], validation.values[-1]
    num_after = len(validation) - 1 - lowest
    if num_after < _LEAST_VALIDATIONS or value <= 0 or last_value <= value * (1 + _RISE):
        return
    then = [loss for at, loss in zip(training.steps, training.values, strict=True) if at <= step]
    if not then or training.values[-1] >= then[-1]:
        return
    text = (
        f"The validation loss rose since step {count(step)}, from {number(value)} to {number(last_value)}"
        f" (+{percent(last_value / value - 1)}) at step {count(last_step)}, while the training loss fell from"
        f" {number(then[-1])} to {number(training.values[-1])}: the model overfits."
    )
    values = {"since_step": step, "lowest": value, "last_step": last_step, "last": last_value}
    yield Finding("overfitting", "warning", text, facts.name, values)


def _rank_changes(facts: RunFacts) -> Iterator[Finding]:
    changes = facts.curves.rank_changes
    if changes:
        times = "once" if len(changes) == 1 else f"{count(len(changes))} times"
        text = f"The ranks changed {times} during the training, first at step {count(changes[0][0])}."
        yield Finding("ranks", "note", text, facts.name, {"changes": [list(change) for change in changes]})


def recorded_result(facts: RunFacts) -> Iterator[Finding]:
    """The main result that the run recorded, for a report that measures nothing.

    Args:
        facts: of the run.
    """
    metric = facts.listed.metric
    for split in ("test", "validation"):
        value = facts.listed.value(f"{split}.{metric}") if metric else None
        if value is None:
            continue
        interval = facts.recorded_interval(split, metric or "")
        text = f"The recorded {split} {metric} is {number(value)}"
        if interval is not None:
            samples = counted(facts.num_samples[split], "sample")
            text += f" (95% interval {number(interval.low)} to {number(interval.high)}, {samples})"
        direction = larger_is_better(metric or "")
        values = {"split": split, "metric": metric, "value": value, "larger_is_better": direction}
        yield Finding("result", "note", f"{text}.", facts.name, values)
        return
