"""Findings about what a model answers, from its evaluation."""

import math
from collections.abc import Iterator, Sequence

from tfdl.reporting.clean_text import quoted
from tfdl.reporting.findings import Finding
from tfdl.reporting.intervals import Interval
from tfdl.reporting.measuring.measured import MOST_PAIRS, Classes, ClassScores, Guess, Measured
from tfdl.reporting.not_finite import not_finite_results
from tfdl.reporting.text_values import checkpoint_words, count, counted, number, percent

# Classes with fewer samples say little about a class.
_LEAST_SUPPORT = 5
# Names that a sentence lists.
_MOST_NAMES = 3
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
    yield from not_finite_results(measured.metrics, measured.split, run)
    yield from _guessing(measured, run)
    yield from _same_texts(measured, run)
    yield from _mistakes(measured, run)


def _guessing(measured: Measured, run: str) -> Iterator[Finding]:
    guess = measured.guess
    if guess is None or guess.metric not in measured.metrics:
        return
    value = measured.metrics[guess.metric]
    if not math.isfinite(value):
        return
    interval = measured.intervals.get(guess.metric)
    values = {"metric": guess.metric, "value": value, "guess": guess.value, "split": measured.split}
    values |= {"checkpoint": measured.checkpoint}
    if interval is not None:
        values |= {"low": interval.low, "high": interval.high, "samples": measured.num_samples}
        yield _share_of_guess(value, interval, guess, measured, run, values)
        return
    is_better = value < guess.value
    perplexity = f"{measured.split.capitalize()} perplexity {number(value)} ({checkpoint_words(measured.checkpoint)})"
    verdict = "is better than" if is_better else "is no better than"
    text = f"{perplexity} {verdict} {guess.how} ({number(guess.value)})."
    yield Finding("guessing", "good" if is_better else "warning", text, run, values | {"better": is_better})


def _share_of_guess(
    value: float, interval: Interval, guess: Guess, measured: Measured, run: str, values: dict[str, object]
) -> Finding:
    """Compares an accuracy with guessing. Only an interval above it proves that a model is better."""
    accuracy = (
        f"{measured.split.capitalize()} accuracy {number(value)} ({checkpoint_words(measured.checkpoint)}, 95% interval"
        f" {number(interval.low)} to {number(interval.high)}, {counted(measured.num_samples, 'sample')})"
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
        text = f"All {counted(texts.num_written, 'translation')} are {what}: the model ignores the source."
        yield Finding("same_texts", "warning", text, run, values)
    elif texts.num_distinct < texts.num_distinct_expected * _FEW:
        text = (
            f"The {count(texts.num_written)} translations are only {count(texts.num_distinct)} different texts, and"
            f" the references {count(texts.num_distinct_expected)}: the model hardly reads the source."
        )
        yield Finding("same_texts", "warning", text, run, values)


def _mistakes(measured: Measured, run: str) -> Iterator[Finding]:
    classes = measured.classes
    if classes is None or not classes.confused:
        return
    pair = classes.confused[0]
    wrong = count(classes.num_mistakes)
    verb = "is" if measured.num_samples == 1 else "are"
    text = f"{wrong} of {counted(measured.num_samples, 'sample')} {verb} wrong. {_most_frequent(classes)}"
    values = {
        "checkpoint": measured.checkpoint,
        "mistakes": classes.num_mistakes,
        "label": pair.label,
        "prediction": pair.prediction,
        "count": pair.count,
    }
    known = [scores for scores in classes.scores if scores.support >= _LEAST_SUPPORT]
    lowest = min((scores.recall for scores in known), default=1.0)
    weakest = [scores for scores in known if scores.recall == lowest]
    if len(weakest) < len(known):  # with equal recalls none is the lowest
        text += f" {_lowest_recall(weakest)}"
        values |= {"weakest": [scores.name for scores in weakest], "recall": lowest}
    yield Finding("mistakes", "note", text, run, values)


def _most_frequent(classes: Classes) -> str:
    """Which classes are confused most often. Several pairs may be confused equally often."""
    pair = classes.confused[0]
    if pair.count == 1:
        return "No two classes are confused more than once."
    num_others = sum(other.count == pair.count for other in classes.confused) - 1
    what = f"{quoted(pair.prediction)} for {quoted(pair.label)}"
    times = f"{count(pair.count)} times ({percent(pair.share)} of this class)"
    if not num_others:
        return f"The most frequent mistake is {what}, {times}."
    # The list of pairs has an end.
    more = " or more" if num_others + 1 == MOST_PAIRS else ""
    are = "pair of classes is" if num_others == 1 and not more else "pairs of classes are"
    return f"The most frequent mistake is {what}, {times}; {num_others}{more} other {are} confused as often."


def _lowest_recall(weakest: Sequence[ClassScores]) -> str:
    recall = number(weakest[0].recall)
    names = ", ".join(quoted(scores.name) for scores in weakest[:_MOST_NAMES])
    if len(weakest) == 1:
        return f"Of the classes with at least {_LEAST_SUPPORT} samples, {names} has the lowest recall ({recall})."
    more = ", …" if len(weakest) > _MOST_NAMES else ""
    return (
        f"Of the classes with at least {_LEAST_SUPPORT} samples, {count(len(weakest))} have the lowest recall"
        f" ({recall}): {names}{more}."
    )
