"""What compression and accumulation win where the network between two hosts is slow.

    python benchmarks/slow_link.py --output results.json

The hosts are made on this machine (see `hosts.py`; needs root), each with half of its cores, and each may send
`--rate`. A variant's step is so many batches, and one reduction. `gain` is samples per second of both ranks, as a
multiple of what they are with nothing compressed and a reduction after each batch; `of ceiling` is the same as a part
of what they are without any reduction. Both compare within a round: the median over the rounds, and the gain's
quartiles. Float16 and bfloat16 halve what is sent, and round it.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hosts import Hosts, made_hosts, why_not
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PROGRAMS = ("cnn", "lstm", "gpt")


def main() -> None:
    """Starts a job between the hosts for every program, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--rate", default="100mbit", help="what a host may send, in the words of tc")
    parser.add_argument("--accumulation", nargs="*", type=int, default=[1, 4], help="batches of a step")
    parser.add_argument("--rounds", type=int, default=9, help="times that each variant is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one measurement is")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    if reason := why_not():
        sys.exit(reason)
    table = Table("program", "gradients", "compression", "batches", "ms a step", "samples/s", "gain", "quartiles",
                  "of ceiling")  # fmt: skip
    rows = []
    with made_hosts("h1", "h2") as hosts:
        hosts.slow_down(options.rate)
        for row in (row for program in options.programs for row in compared(program, job(hosts, program, options))):
            rows.append(row)
            low, median, high = row["gain"]
            table.add_row(
                row["program"], f"{row['megabytes']:.1f} MB", row["compression"], str(row["accumulation"]),
                f"{row['milliseconds']:.0f}", f"{row['samples_per_second']:,.0f}", f"{median:.2f}",
                f"{low:.2f} to {high:.2f}", f"{row['of_ceiling']:.2f}",
            )  # fmt: skip
    Console(width=110).print(table)
    if options.output:
        settings = {"cores": os.cpu_count(), "python": platform.python_version(), **vars(options), "output": None}
        options.output.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def job(hosts: Hosts, program: str, options: argparse.Namespace) -> dict[str, Any]:
    """One program's times."""
    launcher = Path(sys.executable).with_name("horovodrun")
    start = [str(launcher), "--gloo", "--disable-cache", "--network-interfaces", "eth0", "-np", "2", "-H", "h1:1,h2:1"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "times.json")
        arguments = ["--program", program, "--accumulation", *map(str, options.accumulation)]
        arguments += ["--rounds", str(options.rounds), "--seconds", str(options.seconds), "--output", str(output)]
        command = [*start, sys.executable, str(HERE / "slow_link_rank.py"), *arguments]
        done = hosts["h1"].run(*command, env=hosts.environment)
        if done.returncode:
            sys.exit(done.stdout[-4000:])
        return json.loads(output.read_text())


def compared(program: str, measured: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each variant; the first one is the ceiling, the second what the others gain upon."""
    variants = measured["variants"]
    speeds = [
        [sum(variant["samples"] / seconds for seconds in turn) for turn in zip(*variant["seconds"], strict=True)]
        for variant in variants
    ]
    ceiling, plain = speeds[:2]
    for variant, mine in zip(variants, speeds, strict=True):
        yield {
            "program": program,
            "megabytes": measured["gradient_bytes"] / 1e6,
            "compression": variant["compression"],
            "accumulation": variant["accumulation"],
            "milliseconds": 1e3 * statistics.median(time for times in variant["seconds"] for time in times),
            "samples_per_second": statistics.median(mine),
            "gain": statistics.quantiles([speed / before for speed, before in zip(mine, plain, strict=True)], n=4),
            "of_ceiling": statistics.median(speed / best for speed, best in zip(mine, ceiling, strict=True)),
        }


if __name__ == "__main__":
    main()
