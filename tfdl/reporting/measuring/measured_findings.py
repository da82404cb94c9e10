"""Findings about what a model answers, from its evaluation."""

from collections.abc import Iterator

from tfdl.reporting.clean_text import shortened
from tfdl.reporting.findings import Finding
from tfdl.reporting.intervals import Interval
from tfdl.reporting.measuring.measured import Guess, Measured
from tfdl.reporting.text_values import count, number, percent

# Classes with fewer samples say little about a class.
_LEAST_SUPPORT = 5
_LONGEST_NAME = 40
# With fewer different translations, as a share of the different references, a model hardly reads its sources.
_FEW = 0.1


def measured_findings(measured: Measured, run: str) -> Iterator[Finding]:
    """What the evaluation of a run says.

    Args:
        measured: the evaluation.
        run: the run's name.
    """
    if measured.problem:
        text = f"The model was not measured on the {measured.split} split: {measured.problem}."
        yield Finding("not_measured", "warning", text, run, {"reason": measured.problem})
        return
    if measured.note:
        yield Finding("data", "warning", f"{measured.note[0].upper()}{measured.note[1:]}.", run)
    yield from _guessing(measured, run)
    yield from _same_texts(measured, run)
    yield from _weakest_class(measured, run)


def _guessing(measured: Measured, run: str) -> Iterator[Finding]:
    guess = measured.guess
    if guess is None or guess.metric not in measured.metrics:
        return
    value = measured.metrics[guess.metric]
    interval = measured.intervals.get(guess.metric)
    values = {"metric": guess.metric, "value": value, "guess": guess.value, "split": measured.split}
    if interval is not None:
        values |= {"low": interval.low, "high": interval.high, "samples": measured.num_samples}
        yield _share_of_guess(value, interval, guess, measured, run, values)
    elif value < guess.value:
        text = f"Perplexity {number(value)} is better than {guess.how} ({number(guess.value)})."
        yield Finding("guessing", "good", text, run, values | {"better": True})
    else:
        text = f"Perplexity {number(value)} is no better than {guess.how} ({number(guess.value)})."
        yield Finding("guessing", "warning", text, run, values | {"better": False})


def _share_of_guess(
    value: float, interval: Interval, guess: Guess, measured: Measured, run: str, values: dict[str, object]
) -> Finding:
    """Compares an accuracy with guessing. Only an interval above it proves that a model is better."""
    samples = "1 sample" if measured.num_samples == 1 else f"{count(measured.num_samples)} samples"
    accuracy = (
        f"{measured.split.capitalize()} accuracy {number(value)} (95% interval {number(interval.low)} to"
        f" {number(interval.high)}, {samples})"
    )
    other = f"{guess.how}, for every sample ({number(guess.value)})"
    if interval.low > guess.value:
        return Finding("guessing", "good", f"{accuracy} is better than {other}.", run, values | {"better": True})
    if value <= guess.value:
        return Finding("guessing", "warning", f"{accuracy} is no better than {other}.", run, values | {"better": False})
    text = f"{accuracy} may be no better than {other}: the interval includes that value."
    return Finding("guessing", "warning", text, run, values | {"better": None})


def _same_texts(measured: Measured, run: str) -> Iterator[Finding]:
    texts = measured.texts
    if texts is None or texts.kind != "translated" or texts.num_distinct_expected < 2:
        return
    values = {
        "written": texts.num_written,
        "distinct": texts.num_distinct,
        "distinct_references": texts.num_distinct_expected,
    }
    if texts.num_distinct == 1:
        what = "the same" if texts.samples[0].written.strip() else "empty"
        text = f"All {count(texts.num_written)} translations are {what}: the model ignores the source."
        yield Finding("same_texts", "warning", text, run, values)
    elif texts.num_distinct < texts.num_distinct_expected * _FEW:
        text = (
            f"The {count(texts.num_written)} translations are only {count(texts.num_distinct)} different texts, and"
            f" the references {count(texts.num_distinct_expected)}: the model hardly reads the source."
        )
        yield Finding("same_texts", "warning", text, run, values)


def _weakest_class(measured: Measured, run: str) -> Iterator[Finding]:
    classes = measured.classes
    if classes is None or not classes.confused:
        return
    known = [scores for scores in classes.scores if scores.support >= _LEAST_SUPPORT]
    pair = classes.confused[0]
    times = "once" if pair.count == 1 else f"{count(pair.count)} times"
    text = (
        f"{classes.num_mistakes:,} of {measured.num_samples:,} samples are wrong. The most frequent mistake is"
        f" {_named(pair.prediction)} for {_named(pair.label)}, {times} ({percent(pair.share)} of this class)."
    )
    values = {"mistakes": classes.num_mistakes, "label": pair.label, "prediction": pair.prediction, "count": pair.count}
    if known:
        weakest = min(known, key=lambda scores: scores.recall)
        text += f" The class with the lowest recall is {_named(weakest.name)} ({number(weakest.recall)})."
        values |= {"weakest": weakest.name, "recall": weakest.recall}
    yield Finding("mistakes", "note", text, run, values)


def _named(name: str) -> str:
    """A class in a sentence."""
    return repr(shortened(name, _LONGEST_NAME))
