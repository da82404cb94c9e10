"""What Horovod's timeline says of each collective: how long ranks agreed on it, and how long it moved data.

    HOROVOD_TIMELINE=timeline.json horovodrun -np 2 tfdl train --steps 200
    python benchmarks/timeline.py timeline.json

`agreed` is from the moment that rank 0 had its part until all ranks knew that everyone has: the wait for the slowest
rank, for Horovod's next cycle and for a small collective. `moved` is the collective itself, with the wait for cores.
Medians in milliseconds, the ninth decile in brackets. Collectives of a step are numbered in the order of its tracing.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def main() -> None:
    """Prints a row for every name in the timeline."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/timeline.py TIMELINE.json")
    table = Table("collective", "kind", "times", "agreed", "moved")
    for (name, kind), (agreed, moved) in sorted(durations(read(Path(sys.argv[1]))).items()):
        table.add_row(name, kind, str(len(moved)), shown(agreed), shown(moved))
    Console().print(table)


def read(path: Path) -> list[dict[str, Any]]:
    """The events; Horovod leaves the list open where a job is ended."""
    text = path.read_text(encoding="utf-8").strip().rstrip(",")
    events: list[dict[str, Any]] = json.loads(text if text.endswith("]") else text + "]")
    return events


def durations(events: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """Milliseconds of agreement and of the collective itself, by the collective's name and kind."""
    names: dict[int, str] = {}
    opened: dict[int, list[tuple[str, float]]] = defaultdict(list)
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for event in events:
        place = event["pid"]
        if event["ph"] == "M" and event["name"] == "process_name":
            names[place] = event["args"].get("name", "")
        elif event["ph"] == "B":
            opened[place].append((event["name"], event["ts"]))
        elif event["ph"] == "E" and opened[place]:
            what, begin = opened[place].pop()
            kind = what.removeprefix("NEGOTIATE_").lower()
            if not opened[place]:  # the outermost: its parts are within it
                found[names[place], kind][not what.startswith("NEGOTIATE_")].append((event["ts"] - begin) / 1e3)
    return found


def shown(milliseconds: list[float]) -> str:
    if len(milliseconds) < 2:
        return ", ".join(f"{value:.2f}" for value in milliseconds)
    return f"{statistics.median(milliseconds):.2f} ({statistics.quantiles(milliseconds, n=10)[-1]:.2f})"


if __name__ == "__main__":
    main()
