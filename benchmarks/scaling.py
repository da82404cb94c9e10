"""How much of their speed ranks on one host keep when they train one model together.

    python benchmarks/scaling.py --rounds 30 --torch --output results.json

Every rank has its own core. The ceiling is the speed of the same ranks without the reduction: they share memory and
caches, and wait for nobody. `efficiency` is the samples per second of all ranks divided by the ceiling's in the same
round: the median over the rounds, and the quartiles.

The variants are:

- `weight only` sums a single number in each step: what waiting for each other and for Horovod costs before the first
  gradient is sent;
- `tfdl` is what `tfdl train` does;
- sizes such as `4 MiB` are those of the buffers in which gradients are sent;
- `transport's sum` is Gloo's or MPI's own collective, also where tfdl gathers and adds up.

`--cycles` are milliseconds of HOROVOD_CYCLE_TIME. `--torch` adds PyTorch's DistributedDataParallel over Gloo and its
own ceiling. `--mpi` starts the ranks through MPI (a Horovod built with `tfdl install-horovod --mpi`); ranks that wait
in MPI keep their core busy unless `--yield` is given.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
# Name -> options of scaling_rank.py.
PROGRAMS = {
    "cnn": ("--program", "cnn"),
    "cnn, synchronized": ("--program", "cnn", "--synchronized"),
    "lstm": ("--program", "lstm"),
    "gpt": ("--program", "gpt"),
}
TORCH_PROGRAMS = ("lstm", "gpt")


def main() -> None:
    """Starts a job for every program and setting, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--variants", nargs="*", default=["weight only", "tfdl"], help="as in scaling_rank.py")
    parser.add_argument("--cycles", nargs="*", default=["0.2"], help="HOROVOD_CYCLE_TIME, in milliseconds")
    parser.add_argument("--rounds", type=int, default=20, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.4, help="about how long one measurement is")
    parser.add_argument("--torch", action="store_true", help="measure PyTorch, too")
    parser.add_argument("--mpi", action="store_true", help="use MPI instead of Gloo")
    parser.add_argument("--yield", dest="gives_way", action="store_true", help="ranks that wait in MPI free their core")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    table = Table("program", "setting", "variant", "ms a step", "samples/s", "efficiency", "quartiles")
    rows = []
    for row in measurements(options):
        rows.append(row)
        low, median, high = row["efficiency"]
        table.add_row(
            row["program"],
            row["setting"],
            row["variant"],
            f"{row['milliseconds']:.1f}",
            f"{row['samples_per_second']:,.0f}",
            f"{median:.2f}",
            f"{low:.2f} to {high:.2f}",
        )
    Console(width=110).print(table)
    if options.output:
        settings = {"cores": os.cpu_count(), "python": platform.python_version(), **vars(options), "output": None}
        options.output.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def measurements(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Runs all jobs, and yields a row for each variant of each job."""
    transport = "Gloo"
    if options.mpi:
        transport = "MPI, giving way" if options.gives_way else "MPI"
    for program in options.programs:
        for cycle in options.cycles:
            measured = horovod_job(options, program, cycle)
            yield from rows_of(program, f"{transport}, cycle {cycle} ms", measured)
        if options.torch and program in TORCH_PROGRAMS:
            yield from rows_of(program, "PyTorch, Gloo", torch_job(options, program))


def rows_of(program: str, setting: str, measured: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a row for each variant of one job.

    Args:
        program: first column.
        setting: second column.
        measured: `batch`, the samples of a rank's batch, and `ranks`, for each rank name -> seconds of a step in every
            round.
    """
    batch = measured["batch"]
    ranks = measured["ranks"]
    ceiling = _speeds(batch, ranks, "no reduction")
    for name in ranks[0]:
        speeds = _speeds(batch, ranks, name)
        efficiencies = [speed / best for speed, best in zip(speeds, ceiling, strict=True)]
        yield {
            "program": program,
            "setting": setting,
            "variant": name,
            "milliseconds": 1e3 * statistics.median(seconds for rank in ranks for seconds in rank[name]),
            "samples_per_second": statistics.median(speeds),
            "efficiency": statistics.quantiles(efficiencies, n=4),
        }


def _speeds(batch: int, ranks: list[dict[str, list[float]]], name: str) -> list[float]:
    """Samples per second of all ranks together, for every round."""
    rounds = zip(*(rank[name] for rank in ranks), strict=True)
    return [sum(batch / seconds for seconds in seconds_of_ranks) for seconds_of_ranks in rounds]


def horovod_job(options: argparse.Namespace, program: str, cycle: str) -> dict[str, Any]:
    """Runs `scaling_rank.py` under horovodrun, and returns its results.

    Args:
        options: of the command line.
        program: a key of ``PROGRAMS``.
        cycle: HOROVOD_CYCLE_TIME.
    """
    launcher = Path(sys.executable).with_name("horovodrun")
    transport = "--mpi" if options.mpi else "--gloo"
    environment = {**os.environ, "HOROVOD_CYCLE_TIME": cycle}
    if options.mpi:
        environment["OMPI_MCA_mpi_yield_when_idle"] = str(int(options.gives_way))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "times.json")
        command = [str(launcher), transport, "-np", str(options.ranks), sys.executable, str(HERE / "scaling_rank.py")]
        command += [*PROGRAMS[program], "--variants", *options.variants, *_rank_options(options, output)]
        wait_for([_start(command, environment)])
        return json.loads(output.read_text())


def torch_job(options: argparse.Namespace, program: str) -> dict[str, Any]:
    """Runs the ranks of `scaling_ddp.py`, and returns their results."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "times.json")
        command = [sys.executable, str(HERE / "scaling_ddp.py"), "--program", program]
        command += _rank_options(options, output)
        ranks = []
        for rank in range(options.ranks):
            environment = {**os.environ, **address, "RANK": str(rank), "WORLD_SIZE": str(options.ranks)}
            ranks.append(_start(command, environment))
        wait_for(ranks)
        return json.loads(output.read_text())


def _rank_options(options: argparse.Namespace, output: Path) -> list[str]:
    return ["--rounds", str(options.rounds), "--seconds", str(options.seconds), "--output", str(output)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(processes: list["subprocess.Popen[bytes]"]) -> None:
    """Waits for all processes; the first one that failed ends the benchmark with its output."""
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            sys.exit(output.decode(errors="replace")[-4000:])


if __name__ == "__main__":
    main()
