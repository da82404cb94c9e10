"""One run of a list."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STATES = ("finished", "imported", "stopped", "failed", "unfinished", "damaged")
"""Every state of a run: see ``state_of``."""

# The metric that stands for all of them is the first one that a run has: translations have the first, language models
# the second, classifiers the third. All tasks have a loss.
_HEADLINES = ("exact_match", "perplexity", "accuracy", "loss")

# Fields that are times.
_TIMES = frozenset({"started", "changed"})

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class ListedRun:
    """What the files of a run say. A value that they do not contain is None."""

    run: str
    """The path, relative to the folder that was listed."""
    path: str
    state: str = "finished"
    """One of ``STATES``."""
    reason: str = ""
    """Why the run is in this state, and how it can be continued; empty for a finished run."""
    model: str | None = None
    """The family, or the preset."""
    task: str | None = None
    dataset: str | None = None
    parameters: int | None = None
    epochs: int | None = None
    """Epochs done."""
    steps: int | None = None
    """Optimizer steps done."""
    world_size: int | None = None
    """The number of ranks."""
    batch_size: int | None = None
    global_batch_size: int | None = None
    examples_per_second: float | None = None
    wall_seconds: float | None = None
    validation: Metrics = field(default_factory=dict)
    test: Metrics = field(default_factory=dict)
    weights_sha256: str | None = None
    tfdl_version: str | None = None
    checkpoint: str | None = None
    """The name of the newest checkpoint."""
    started: float | None = None
    """When the run was started, or imported; seconds since 1970."""
    changed: float | None = None
    """When one of its files was last written; seconds since 1970. A copy has the time of copying."""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The values of ``config.yaml`` with names such as ``optimizer.learning_rate``. ``to_json`` leaves them out."""

    @property
    def metric(self) -> str | None:
        """The name of the metric that stands for all of them; None if the run has no metrics."""
        names = {*self.test, *self.validation}
        return next((name for name in _HEADLINES if name in names), None)

    def value(self, name: str) -> Any:
        """A value to show or to sort by.

        Args:
            name: a field; ``test`` and ``validation`` are the values of ``metric``; ``test.NAME`` and
                ``validation.NAME`` are other metrics; other names are values of the configuration, such as
                ``optimizer.learning_rate``. A value that the run lacks is None.
        """
        split, _, metric = name.partition(".")
        if split in ("validation", "test"):
            metrics: Metrics = getattr(self, split)
            return metrics.get(metric or self.metric or "")
        if name in VALUE_NAMES:
            return getattr(self, name)
        return self.config.get(name)

    def to_json(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Plain values, with times in ISO format.

        Args:
            names: of the values, as for ``value``; none for all fields and ``metric``.
        """
        if names:
            values = {name: self.value(name) for name in names}
        else:
            without_config = dataclasses.replace(self, config={})
            values = dataclasses.asdict(without_config)
            del values["config"]
            values["metric"] = self.metric
        for name in _TIMES & values.keys():
            values[name] = _iso(values[name])
        return values


VALUE_NAMES = (*(each.name for each in dataclasses.fields(ListedRun) if each.name != "config"), "metric")
"""Names of values that every run has: the fields, and ``metric``."""


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
