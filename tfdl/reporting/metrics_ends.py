"""The first and the last reports of ``metrics.jsonl``, without reading what is between them."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfdl.reporting.regular_file import check_regular
from tfdl.runs.json_values import json_values

# Bytes that are read at the beginning and at the end. A report has some hundred.
_FIRST_BYTES = 4096
_LAST_BYTES = 65_536


@dataclass(frozen=True)
class MetricsEnds:
    """What the first and the last reports say. Lines that are damaged, or not written completely, are left out."""

    first: dict[str, Any] = field(default_factory=dict)
    """The first report; empty without any."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last report; empty without any."""
    last_epoch: dict[str, Any] = field(default_factory=dict)
    """The last report of a whole epoch, if it is near the end of the file; else empty."""


def read_metrics_ends(path: Path, *, with_last: bool) -> MetricsEnds:
    """Reads both ends of the file.

    Args:
        path: of the file; it may be absent.
        with_last: whether to read the last reports.
    """
    try:
        check_regular(path)
        file = path.open("rb")
    except FileNotFoundError:
        return MetricsEnds()
    with file:
        first_reports = _reports(file.readline(_FIRST_BYTES))
        first = first_reports[0] if first_reports else {}
        if not with_last:
            return MetricsEnds(first)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LAST_BYTES))
        reports = _reports(file.read())
    epochs = [report for report in reports if report.get("kind") == "epoch"]
    last = reports[-1] if reports else {}
    last_epoch = epochs[-1] if epochs else {}
    return MetricsEnds(first, last, last_epoch)


def _reports(content: bytes) -> list[dict[str, Any]]:
    reports = []
    for line in content.splitlines():
        try:
            values = json_values(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            reports.append(values)
    return reports
