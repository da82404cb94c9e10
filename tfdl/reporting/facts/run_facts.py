"""All that the files of a run say, for a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.errors import UserError
from tfdl.reporting.facts.best_checkpoint import BestCheckpoint, best_checkpoint, read_progress
from tfdl.reporting.facts.curves import Curves, read_curves
from tfdl.reporting.finding import FoundRun
from tfdl.reporting.intervals import Interval, wilson
from tfdl.reporting.listed_run import ListedRun
from tfdl.reporting.reading import read_run
from tfdl.runs.run_directory import RunDirectory
from tfdl.runs.sample_counts import load_sample_counts

SHARES = ("accuracy", "top_5_accuracy", "exact_match")
"""Metrics that are the share of samples that are right, where each sample counts once."""
# Of recorded results it is not known how many answers they are a mean of, except of tfdl's own classifiers, which give
# one for each sample: a translation decodes some of the samples, and other tasks may give many answers for each.
_CLASSIFIERS = ("image-classification", "text-classification")
_RECORDED_SHARES = ("accuracy", "top_5_accuracy")
_OF_TOKENS = ("language-modeling", "translation")


@dataclass(frozen=True)
class RunFacts:
    """What the files of a run say. No model is built and no data set is opened."""

    name: str
    """How the report calls the run."""
    run: RunDirectory
    listed: ListedRun = field(repr=False)
    curves: Curves = field(repr=False)
    best: BestCheckpoint | None
    progress: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the newest checkpoint."""
    num_samples: Mapping[str, int] = field(default_factory=dict)
    """Split -> its number of samples when the run began."""

    @property
    def predicts_tokens(self) -> bool:
        """Whether losses are of tokens, and not of samples."""
        is_known = self.listed.task in _OF_TOKENS
        return is_known or "perplexity" in (self.listed.test or self.listed.validation)

    def recorded_interval(self, split: str, metric: str) -> Interval | None:
        """The interval of a recorded share of samples; None for other metrics, and other tasks than classification.

        Args:
            split: ``validation`` or ``test``.
            metric: its name.
        """
        return self.interval_of(split, metric, self.listed.value(f"{split}.{metric}"))

    def interval_of(self, split: str, metric: str, value: float | None) -> Interval | None:
        """The interval of a recorded value of a share of samples; None as for ``recorded_interval``.

        Args:
            split: of the value.
            metric: its name.
            value: the share.
        """
        count = self.num_samples.get(split, 0)
        if self.listed.task not in _CLASSIFIERS or metric not in _RECORDED_SHARES:
            return None
        if value is None or not 0 <= value <= 1 or count < 1:
            return None
        return wilson(round(value * count), count)


def read_facts(path: str | Path, name: str | None = None) -> RunFacts:
    """Reads the files of a run.

    Args:
        path: the run directory.
        name: how the report calls the run. Defaults to the name of its folder.

    Raises:
        UserError: there is no run, or it has a file that cannot be used.
    """
    run = RunDirectory.open(path)
    shown = name or run.path.resolve().name
    listed = read_run(FoundRun(run.path), shown)
    if listed.state == "damaged":
        raise UserError(
            f"run {str(run.path)!r} is damaged: {listed.reason}; copy it again, or give another run to report on"
        )
    curves = read_curves(run.metrics_path, may_grow=listed.state not in ("finished", "imported"))
    progress = read_progress(run)
    return RunFacts(
        name=shown,
        run=run,
        listed=listed,
        curves=curves,
        best=best_checkpoint(run, curves, progress),
        progress=progress,
        num_samples=load_sample_counts(run.assets),
    )
