"""How much of their speed ranks on one host keep when they train one model instead of one each.

    python benchmarks/scaling.py --rounds 30 --torch --output results.json

Every rank has a core of its own. The ceiling is the same ranks with the reduction left out: they share memory and
caches, and wait for nobody. `efficiency` is samples per second of all ranks, as a part of the ceiling's in the same
round: the median over the rounds, and the quartiles. `weight only` adds up one number a step, which is what waiting for
each other and for Horovod costs before the first gradient is sent; `tfdl` is what `tfdl train` does; sizes are those of
the buffers in which gradients travel; `transport's sum` is Gloo's or MPI's own collective where tfdl gathers and adds
up. `--cycles` are milliseconds of HOROVOD_CYCLE_TIME, `--torch` adds PyTorch's DistributedDataParallel over Gloo and
its own ceiling, `--mpi` starts the ranks through MPI (a Horovod built with `tfdl install-horovod --mpi`), whose waiting
ranks hold their core unless `--yield`.
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
PROGRAMS = {"cnn": ("cnn",), "cnn, synchronized": ("cnn", "--synchronized"), "lstm": ("lstm",), "gpt": ("gpt",)}


def main() -> None:
    """Starts a job for every program and setting, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--variants", nargs="*", default=["weight only", "tfdl"], help="as in scaling_rank.py")
    parser.add_argument("--cycles", nargs="*", default=["0.2"], help="HOROVOD_CYCLE_TIME, in milliseconds")
    parser.add_argument("--rounds", type=int, default=20, help="times that each variant is measured")
    parser.add_argument("--seconds", type=float, default=0.4, help="about how long one measurement is")
    parser.add_argument("--torch", action="store_true", help="PyTorch, too")
    parser.add_argument("--mpi", action="store_true", help="MPI in place of Gloo")
    parser.add_argument("--yield", dest="gives_way", action="store_true", help="ranks that wait in MPI give way")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    table = Table("program", "setting", "variant", "ms a step", "samples/s", "efficiency", "quartiles")
    rows = []
    for row in measurements(options):
        rows.append(row)
        low, median, high = row["efficiency"]
        numbers = (f"{row['milliseconds']:.1f}", f"{row['samples_per_second']:,.0f}", f"{median:.2f}")
        table.add_row(row["program"], row["setting"], row["variant"], *numbers, f"{low:.2f} to {high:.2f}")
    Console(width=110).print(table)
    if options.output:
        settings = {"cores": os.cpu_count(), "python": platform.python_version(), **vars(options), "output": None}
        options.output.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def measurements(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each variant of each job."""
    for name in options.programs:
        for cycle in options.cycles:
            transport = ("MPI, giving way" if options.gives_way else "MPI") if options.mpi else "Gloo"
            arguments = ["--program", *PROGRAMS[name], "--variants", *options.variants]
            yield from rows(name, f"{transport}, cycle {cycle} ms", horovod_job(options, arguments, cycle))
        if options.torch and name in ("lstm", "gpt"):
            yield from rows(name, "PyTorch, Gloo", torch_job(options, name))


def rows(program: str, setting: str, measured: dict[str, Any]) -> Iterator[dict[str, Any]]:
    batch, ranks = measured["batch"], measured["ranks"]
    speeds = {
        name: [sum(batch / times[name][turn] for times in ranks) for turn in range(len(ranks[0][name]))]
        for name in ranks[0]
    }
    for name, mine in speeds.items():
        parts = [speed / ceiling for speed, ceiling in zip(mine, speeds["no reduction"], strict=True)]
        yield {
            "program": program,
            "setting": setting,
            "variant": name,
            "milliseconds": 1e3 * statistics.median(time for times in ranks for time in times[name]),
            "samples_per_second": statistics.median(mine),
            "efficiency": statistics.quantiles(parts, n=4),
        }


def horovod_job(options: argparse.Namespace, arguments: list[str], cycle: str) -> dict[str, Any]:
    launcher = Path(sys.executable).with_name("horovodrun")
    start = [str(launcher), "--mpi" if options.mpi else "--gloo", "-np", str(options.ranks), sys.executable]
    environment = {**os.environ, "HOROVOD_CYCLE_TIME": cycle}
    if options.mpi:
        environment["OMPI_MCA_mpi_yield_when_idle"] = str(int(options.gives_way))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "times.json")
        command = [*start, str(HERE / "scaling_rank.py"), *arguments, *how_long(options), "--output", str(output)]
        finish([subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)])
        return json.loads(output.read_text())


def torch_job(options: argparse.Namespace, program: str) -> dict[str, Any]:
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        free.close()
        output = Path(folder, "times.json")
        command = [sys.executable, str(HERE / "scaling_ddp.py"), "--program", program, *how_long(options)]
        ranks = []
        for rank in range(options.ranks):
            environment = {**os.environ, **address, "RANK": str(rank), "WORLD_SIZE": str(options.ranks)}
            ranks.append(
                subprocess.Popen(
                    [*command, "--output", str(output)],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            )
        finish(ranks)
        return json.loads(output.read_text())


def how_long(options: argparse.Namespace) -> list[str]:
    return ["--rounds", str(options.rounds), "--seconds", str(options.seconds)]


def finish(processes: list["subprocess.Popen[bytes]"]) -> None:
    """Waits for all; the first that failed ends the benchmark with what it said."""
    said = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, said, strict=True):
        if process.returncode:
            sys.exit(output.decode(errors="replace")[-4000:])


if __name__ == "__main__":
    main()
