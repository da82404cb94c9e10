"""Runs of a report made from numbers, without a training and without a model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.reporting.made_run import SUMMARY, finished
from tfdl.reporting.comparison import compare
from tfdl.reporting.facts.run_facts import read_facts
from tfdl.reporting.facts.training_findings import training_findings
from tfdl.reporting.intervals import wilson
from tfdl.reporting.making import compared_figures
from tfdl.reporting.measuring.class_parts import CONFIDENCE, class_guess, classes_of
from tfdl.reporting.measuring.measured import Measured, Mistake, Sample, Scores, Texts
from tfdl.reporting.measuring.measured_findings import measured_findings
from tfdl.reporting.page.render import Page, render
from tfdl.reporting.page.run_view import run_view
from tfdl.reporting.reported_run import ReportedRun

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a" * 5000,
    "\x00\x07\x1b[31m\x85",
    "\ud800 half a character",
    "\u202eright to left",
    "مرحبا",
    "😀",
    "{{ 7*7 }}{% for %}",
    "https://example.com/",
    "line\r\nbreak",
)
"""Texts that a data set, a name or a file may contain."""

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)
"""A PNG file of one black pixel."""


def reports(num_epochs: int = 6, *, rising: bool = False) -> list[dict[str, Any]]:
    """Lines of ``metrics.jsonl``.

    Args:
        num_epochs: of ten steps each.
        rising: whether the validation loss rises after the second epoch.
    """
    lines: list[dict[str, Any]] = []
    for epoch in range(1, num_epochs + 1):
        train = {"loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch}
        loss = 1 / epoch if not rising or epoch < 3 else 0.5 + 0.1 * epoch
        values = {"step": 10 * epoch, "epoch": epoch, "examples_per_second": 1000.0, "train": train, "time": 1.7e9}
        lines.append({"kind": "steps", "learning_rate": 0.001, **values})
        lines.append({"kind": "epoch", "validation": {"loss": loss, "accuracy": 1 - 0.6 / epoch}, **values})
    return lines


def measured(
    names: Sequence[str],
    labels: np.ndarray,
    predictions: np.ndarray,
    *,
    texts: Texts | None = None,
    mistake_texts: Sequence[str] = (),
) -> Measured:
    """The evaluation of a classifier.

    Args:
        names: of the classes.
        labels: ``(n,)``.
        predictions: ``(n,)``.
        texts: that the model wrote.
        mistake_texts: the texts of the mistakes; none for images.
    """
    is_right = labels == predictions
    rows = {
        "label": labels,
        "prediction": predictions,
        "loss": np.where(is_right, 0.1, 3.0),
        CONFIDENCE: np.linspace(0.99, 0.5, len(labels)),
    }
    shown = list(mistake_texts)

    def show(mistakes: Sequence[Mistake]) -> list[Mistake]:
        if not shown:
            return [Mistake(**{**vars(each), "image": PIXEL, "image_size": (96, 96)}) for each in mistakes]
        return [Mistake(**{**vars(each), "text": shown[i % len(shown)]}) for i, each in enumerate(mistakes)]

    interval = wilson(int(is_right.sum()), len(labels))
    return Measured(
        split="test",
        checkpoint="step-00000460",
        num_samples=len(labels),
        metrics={"loss": float(rows["loss"].mean()), "accuracy": interval.value},
        intervals={"accuracy": interval},
        scores={"accuracy": Scores(is_right, np.ones(len(labels))), "loss": Scores(rows["loss"], np.ones(len(labels)))},
        training_flops=123_456,
        data_key=labels.tobytes(),
        guess=class_guess(labels, names),
        classes=classes_of(rows, names, 12, show),
        texts=texts,
    )


def samples(*texts: str, kind: str = "translated") -> Texts:
    """Texts that a model wrote, each also as prompt and reference.

    Args:
        *texts: the texts.
        kind: ``translated`` or ``generated``.
    """
    return Texts(kind, tuple(Sample(text, text, text) for text in texts), len(texts), len(set(texts)), len(set(texts)))


def reported(folder: Path, letter: str = "A", of_model: Measured | None = None, **changes: Any) -> ReportedRun:
    """A finished run with curves.

    Args:
        folder: of the run; made.
        letter: of the run.
        of_model: what was measured.
        **changes: keys of its summary.
    """
    if not folder.exists():
        finished(folder, **{**SUMMARY, **changes})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reports()))
    facts = read_facts(folder)
    findings = list(training_findings(facts))
    if of_model is not None:
        findings = [*measured_findings(of_model, facts.name), *findings]
    return ReportedRun(letter, facts, of_model, tuple(findings))


def page_of(*runs: ReportedRun, title: str = "a report") -> str:
    """The HTML of a report.

    Args:
        *runs: of the report.
        title: of the page.
    """
    comparison = compare(runs, "test") if len(runs) > 1 else None
    views = [run_view(run, len(runs)) for run in runs]
    figures = compared_figures(runs) if comparison is not None else []
    return render(Page(title, views, (), comparison, figures, ""))


def classifier(
    folder: Path, letter: str = "A", names: Sequence[str] = ("0", "1", "2"), count: int = 60, **options: Any
) -> ReportedRun:
    """A run of a classifier that is mostly right.

    Args:
        folder: of the run; made.
        letter: of the run.
        names: of the classes.
        count: number of samples.
        **options: as for ``measured``; ``changes``: of the summary.
    """
    generator = np.random.default_rng(0)
    changes = options.pop("changes", {})
    labels = generator.integers(0, len(names), count)
    predictions = np.where(generator.random(count) < 0.6, labels, generator.integers(0, len(names), count))
    return reported(folder, letter, measured(names, labels, predictions, **options), **changes)
