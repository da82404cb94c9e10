"""How many samples each split had when a run began, so that data that have changed since are reported."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl.runs.atomic import write_json

_ASSET = "samples.json"
# A damaged record may have any number.
_MOST_SAMPLES = 2**63


def save_sample_counts(assets: Path, counts: Mapping[str, int]) -> None:
    """Records how many samples the splits of a new run have.

    Args:
        assets: an existing folder of the run.
        counts: split -> number of samples.
    """
    write_json(assets / _ASSET, dict(counts))


def load_sample_counts(assets: Path) -> dict[str, int]:
    """How many samples each split had when the run began; empty for a run without a record, or with a damaged one.

    Args:
        assets: of the run.
    """
    path = assets / _ASSET
    try:
        if not path.is_file():  # a pipe would be waited for
            return {}
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(recorded, dict) or not all(_is_count(count) for count in recorded.values()):
        return {}
    return recorded


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_SAMPLES


def changed_counts_note(assets: Path, counts: Mapping[str, int]) -> str:
    """One line about the splits that have more or fewer samples than when the run began.

    Args:
        assets: of the run.
        counts: split -> number of samples, of the splits to compare.

    Returns:
        The line; empty if the numbers are equal, or if the run has no record, as runs of older versions.
    """
    recorded = load_sample_counts(assets)  # what is damaged is no record; a run does not depend on it
    if not counts.keys() <= recorded.keys():
        return ""
    changes = [
        f"{split} has {count:,} {'sample' if count == 1 else 'samples'}, the run began with {recorded[split]:,}"
        for split, count in counts.items()
        if count != recorded[split]
    ]
    return f"the data have changed: {'; '.join(changes)}" if changes else ""
