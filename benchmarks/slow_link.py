"""What compression and accumulation gain where the network between two hosts is slow.

    python benchmarks/slow_link.py --output results.json

The hosts are simulated on this machine (see `hosts.py`; needs root). Each has half of its cores, and each may send at
most `--rate`. A step has as many batches as its variant says, and one reduction. `gain` is the samples per second of
both ranks divided by those without compression and with a reduction after each batch. `of ceiling` is the same divided
by those without any reduction. Both compare within a round; shown are the median over the rounds, and the quartiles of
the gain. float16 and bfloat16 halve what is sent, and round it.
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

from hosts import Hosts, missing_requirements, simulated_hosts
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PROGRAMS = ("cnn", "lstm", "gpt")
COLUMNS = (
    "program", "gradients", "compression", "batches", "ms a step", "samples/s", "gain", "quartiles", "of ceiling",
)  # fmt: skip


def main() -> None:
    """Starts a job between the hosts for every program, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--rate", default="100mbit", help="what a host may send, in units of tc")
    parser.add_argument("--accumulation", nargs="*", type=int, default=[1, 4], help="batches of a step")
    parser.add_argument("--rounds", type=int, default=9, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one measurement is")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    reason = missing_requirements()
    if reason:
        sys.exit(reason)
    rows: list[dict[str, Any]] = []
    with simulated_hosts("h1", "h2") as hosts:
        hosts.slow_down(options.rate)
        for program in options.programs:
            rows += rows_of(program, job(hosts, program, options))
    Console(width=110).print(table_of(rows))
    if options.output:
        settings = {"cores": os.cpu_count(), "python": platform.python_version(), **vars(options), "output": None}
        options.output.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def job(hosts: Hosts, program: str, options: argparse.Namespace) -> dict[str, Any]:
    """Runs `slow_link_rank.py` on both hosts, and returns its results.

    Args:
        hosts: the hosts h1 and h2.
        program: one of ``PROGRAMS``.
        options: of the command line.
    """
    launcher = Path(sys.executable).with_name("horovodrun")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "times.json")
        command = [str(launcher), "--gloo", "--disable-cache", "--network-interfaces", "eth0"]
        command += ["-np", "2", "-H", "h1:1,h2:1", sys.executable, str(HERE / "slow_link_rank.py")]
        command += ["--program", program, "--accumulation", *map(str, options.accumulation)]
        command += ["--rounds", str(options.rounds), "--seconds", str(options.seconds), "--output", str(output)]
        completed = hosts["h1"].run(*command, env=hosts.environment)
        if completed.returncode:
            sys.exit(completed.stdout[-4000:])
        return json.loads(output.read_text())


def rows_of(program: str, measured: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a row for each variant of one job.

    Args:
        program: first column.
        measured: results of `slow_link_rank.py`. The first variant is the ceiling, the gain is relative to the second.
    """
    variants = measured["variants"]
    ceiling = _speeds(variants[0])
    plain = _speeds(variants[1])
    for variant in variants:
        speeds = _speeds(variant)
        gains = [speed / plain_speed for speed, plain_speed in zip(speeds, plain, strict=True)]
        efficiencies = [speed / best for speed, best in zip(speeds, ceiling, strict=True)]
        yield {
            "program": program,
            "megabytes": measured["gradient_bytes"] / 1e6,
            "compression": variant["compression"],
            "accumulation": variant["accumulation"],
            "milliseconds": 1e3 * statistics.median(seconds for rank in variant["seconds"] for seconds in rank),
            "samples_per_second": statistics.median(speeds),
            "gain": statistics.quantiles(gains, n=4),
            "of_ceiling": statistics.median(efficiencies),
        }


def _speeds(variant: dict[str, Any]) -> list[float]:
    """Samples per second of both ranks together, for every round."""
    rounds = zip(*variant["seconds"], strict=True)
    return [sum(variant["samples"] / seconds for seconds in seconds_of_ranks) for seconds_of_ranks in rounds]


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Makes a table for the terminal."""
    table = Table(*COLUMNS)
    for row in rows:
        low, median, high = row["gain"]
        table.add_row(
            row["program"],
            f"{row['megabytes']:.1f} MB",
            row["compression"],
            str(row["accumulation"]),
            f"{row['milliseconds']:.0f}",
            f"{row['samples_per_second']:,.0f}",
            f"{median:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{row['of_ceiling']:.2f}",
        )
    return table


if __name__ == "__main__":
    main()
