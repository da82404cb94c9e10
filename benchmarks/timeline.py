"""Summarizes Horovod's timeline: how long the ranks negotiated each collective, and how long it moved data.

    HOROVOD_TIMELINE=timeline.json horovodrun -np 2 tfdl train --steps 200
    python benchmarks/timeline.py timeline.json

`agreed` is the time from rank 0's request until all ranks know that every rank is ready: the wait for the slowest rank,
for Horovod's next cycle and for a small collective. `moved` is the collective itself, with the wait for cores. Medians
in milliseconds, with the ninth decile in brackets. Collectives of a step are numbered in the order of its tracing.
"""

import json
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_NEGOTIATION = "NEGOTIATE_"


@dataclass
class Durations:
    """Milliseconds of one collective, one number for each time that it ran."""

    agreed: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)


def main() -> None:
    """Prints a row for every collective in the timeline."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/timeline.py TIMELINE.json")
    collectives = durations(read(Path(sys.argv[1])))
    table = Table("collective", "kind", "times", "agreed", "moved")
    for (name, kind), of_collective in sorted(collectives.items()):
        table.add_row(
            name, kind, str(len(of_collective.moved)), _format(of_collective.agreed), _format(of_collective.moved)
        )
    Console().print(table)


def read(path: Path) -> list[dict[str, Any]]:
    """Reads the events of a timeline. Horovod does not close the list when a job is killed."""
    text = path.read_text(encoding="utf-8").strip().rstrip(",")
    if not text.endswith("]"):
        text += "]"
    events: list[dict[str, Any]] = json.loads(text)
    return events


def durations(events: list[dict[str, Any]]) -> dict[tuple[str, str], Durations]:
    """Returns (name of the collective, kind) -> its durations.

    Each collective is a process of the trace. Its events begin (B) and end (E) like brackets.
    """
    names: dict[int, str] = {}
    open_events: dict[int, list[tuple[str, float]]] = defaultdict(list)
    collectives: dict[tuple[str, str], Durations] = defaultdict(Durations)
    for event in events:
        process = event["pid"]
        if event["ph"] == "M" and event["name"] == "process_name":
            names[process] = event["args"].get("name", "")
        elif event["ph"] == "B":
            open_events[process].append((event["name"], event["ts"]))
        elif event["ph"] == "E" and open_events[process]:
            activity, start = open_events[process].pop()
            if open_events[process]:
                continue  # a part of an activity that has not ended: only outermost ones are counted
            kind = activity.removeprefix(_NEGOTIATION).lower()
            of_collective = collectives[names[process], kind]
            times = of_collective.agreed if activity.startswith(_NEGOTIATION) else of_collective.moved
            times.append((event["ts"] - start) / 1e3)
    return collectives


def _format(milliseconds: list[float]) -> str:
    if len(milliseconds) < 2:
        return ", ".join(f"{value:.2f}" for value in milliseconds)
    ninth_decile = statistics.quantiles(milliseconds, n=10)[-1]
    return f"{statistics.median(milliseconds):.2f} ({ninth_decile:.2f})"


if __name__ == "__main__":
    main()
