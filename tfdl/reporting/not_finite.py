"""Findings about results that are NaN or infinite."""

from collections.abc import Iterator, Mapping

from tfdl.reporting.facts.report_means import finite
from tfdl.reporting.findings import Finding


def not_finite_results(metrics: Mapping[str, float | None], split: str, run: str) -> Iterator[Finding]:
    """Reports metrics that are NaN or infinite.

    Args:
        metrics: by name; None is a value that a file cannot have.
        split: of the metrics.
        run: the run's name.
    """
    names = [name for name, value in metrics.items() if finite(value) is None]
    if names:
        verb = "is" if len(names) == 1 else "are"
        text = f"The {split} {_listed(names)} {verb} NaN or infinite."
        yield Finding("not_finite_results", "warning", text, run, {"split": split, "metrics": names})


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
