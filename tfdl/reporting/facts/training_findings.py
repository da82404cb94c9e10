"""Findings about a run's training, from its files alone."""

from collections.abc import Iterator

from tfdl.reporting.facts.run_facts import RunFacts
from tfdl.reporting.findings import Finding
from tfdl.reporting.text_values import count, number, percent
from tfdl.tasks.metric_directions import larger_is_better

# How much the validation loss must have risen above its lowest value, and for how many validations, to be reported.
_RISE = 0.02
_LEAST_VALIDATIONS = 2


def training_findings(facts: RunFacts) -> Iterator[Finding]:
    """What the files of a run say about its training.

    Args:
        facts: of the run.
    """
    yield from _not_finite(facts)
    yield _best(facts)
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


def _not_finite(facts: RunFacts) -> Iterator[Finding]:
    steps = facts.curves.not_finite
    if steps:
        text = f"The training loss was NaN or infinite in {_reports(len(steps))}, first at step {count(steps[0])}."
        yield Finding("not_finite", "warning", text, facts.name, {"first_step": steps[0], "reports": len(steps)})


def _reports(number_of_reports: int) -> str:
    return "1 report" if number_of_reports == 1 else f"{count(number_of_reports)} reports"


def _best(facts: RunFacts) -> Finding:
    best = facts.best
    if best is None:
        return Finding("best_checkpoint", "note", "No best checkpoint was recorded.", facts.name)
    metric = f"validation {best.metric}" if best.metric else "the monitored metric"
    values = {
        "step": best.step,
        "metric": best.metric,
        "value": best.value,
        "checkpoint": best.name,
        "last_step": best.last_step,
        "last_value": best.last_value,
    }
    if best.is_last:
        text = f"The last checkpoint, step {count(best.step)}, is also the best, by {metric} ({number(best.value)})."
        return Finding("best_checkpoint", "good", text, facts.name, values)
    text = f"The best checkpoint is that of step {count(best.step)}, by {metric} ({number(best.value)})."
    if best.last_value == best.value:
        text += f" The last one, step {count(best.last_step)}, is as good."
        return Finding("best_checkpoint", "good", text, facts.name, values)
    may_be_chance = False
    if best.last_value is not None:
        may_be_chance = _may_be_chance(facts, best.last_value)
        text += f" The last one, step {count(best.last_step)}, is worse ({number(best.last_value)})"
        if may_be_chance:
            text += f", which may be chance with {count(facts.num_samples['validation'])} samples"
        text += "; use the best with --checkpoint best." if best.name else "."
    if best.name is None:
        text += " Its folder is not in the run any more."
    return Finding("best_checkpoint", "note" if may_be_chance else "warning", text, facts.name, values)


def _may_be_chance(facts: RunFacts, last_value: float) -> bool:
    """Whether the interval of the last checkpoint's metric contains the best value."""
    best = facts.best
    if best is None or best.metric is None:
        return False
    interval = facts.interval_of("validation", best.metric, last_value)
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
        times = "once" if len(changes) == 1 else f"{len(changes)} times"
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
        text = f"{split.capitalize()} {metric} is {number(value)}"
        if interval is not None:
            samples = count(facts.num_samples[split])
            text += f" (95% interval {number(interval.low)} to {number(interval.high)}, {samples} samples)"
        direction = larger_is_better(metric or "")
        values = {"split": split, "metric": metric, "value": value, "larger_is_better": direction}
        yield Finding("result", "note", f"{text}.", facts.name, values)
        return
