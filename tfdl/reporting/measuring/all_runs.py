"""Measures the models of all runs of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfdl.distributed import current_world
from tfdl.reporting.facts.run_facts import RunFacts
from tfdl.reporting.measuring.measure import measure
from tfdl.reporting.measuring.measured import Measured


def measure_all(
    runs: Sequence[RunFacts], split: str, checkpoint: str, data: Mapping[str, Any] | None
) -> list[Measured | None]:
    """Measures the models, one after the other.

    Args:
        runs: the runs.
        split: as for ``report``.
        checkpoint: as for ``report``.
        data: as for ``report``.

    Raises:
        UserError: no such checkpoint, or parts of a plugin that was not imported.
    """
    world = current_world()
    for facts in runs:
        facts.run.read_config()  # a plugin that is missing is an error; data that are missing are a finding
        if checkpoint != "last":
            facts.run.checkpoint(checkpoint)
    measured: list[Measured | None] = []
    for facts in runs:
        keras.utils.clear_session()  # the last run's graphs
        measured.append(measure(facts.run, split, checkpoint, world, data))
    return measured
