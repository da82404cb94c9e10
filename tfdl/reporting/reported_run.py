"""One run of a report."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfdl.reporting.facts.report_means import finite
from tfdl.reporting.facts.run_facts import RunFacts
from tfdl.reporting.findings import Finding
from tfdl.reporting.intervals import Interval
from tfdl.reporting.measuring.measured import Measured


@dataclass(frozen=True)
class ReportedRun:
    """What a report says about a run."""

    letter: str
    """By which figures and tables call the run, such as ``A``."""
    facts: RunFacts
    measured: Measured | None
    """None if the model was not used."""
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        """Short: everything of a run would fill screens."""
        return f"ReportedRun({self.letter!r}, {self.name!r})"

    @property
    def name(self) -> str:
        """The run's name."""
        return self.facts.name

    @property
    def is_measured(self) -> bool:
        """Whether the model's answers are known."""
        return self.measured is not None and not self.measured.problem

    def is_measured_on(self, split: str) -> bool:
        """Whether the metrics of a split are measured, and not those that the run recorded.

        Args:
            split: ``train``, ``validation`` or ``test``.
        """
        return self.measured is not None and self.is_measured and self.measured.split == split

    def metrics(self, split: str) -> Mapping[str, float | None]:
        """The metrics of a split: those that were measured, or else those that the run recorded.

        Args:
            split: ``train``, ``validation`` or ``test``.
        """
        if self.measured is not None and self.is_measured_on(split):
            return self.measured.metrics
        recorded = {"validation": self.facts.listed.validation, "test": self.facts.listed.test}
        return recorded.get(split, {})

    def finite_metric(self, split: str, metric: str) -> float | None:
        """A metric that can be compared; None if it is NaN, infinite or not known.

        Args:
            split: ``train``, ``validation`` or ``test``.
            metric: its name.
        """
        return finite(self.metrics(split).get(metric))

    def interval(self, split: str, metric: str) -> Interval | None:
        """The 95% interval of a metric; None if it is not known.

        Args:
            split: ``train``, ``validation`` or ``test``.
            metric: its name.
        """
        if self.measured is not None and self.is_measured_on(split):
            return self.measured.intervals.get(metric)
        return self.facts.recorded_interval(split, metric)
