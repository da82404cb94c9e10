"""Where the time of TensorFlow programs goes, by kind of operation, as TensorFlow's profiler sees it."""

import statistics
import tempfile
from collections import Counter
from pathlib import Path

import tensorflow as tf
from layers_and_optimizers import Program
from rich.table import Table
from tensorflow.tsl.profiler.protobuf import xplane_pb2

_PRODUCTS = ("MatMul", "Einsum")


def operation_times(variants: dict[str, Program], rounds: int, num_steps: int = 4) -> dict[str, dict[str, float]]:
    """Variant -> kind of operation -> milliseconds a step, the median of rounds in which the variants take turns."""
    for program in variants.values():
        program(3)  # traces, and warms up
    measured = [{name: _profiled(program, num_steps) for name, program in variants.items()} for _ in range(rounds)]
    return {
        name: {
            kind: statistics.median(turn[name][kind] for turn in measured)
            for kind in set().union(*(turn[name] for turn in measured))
        }
        for name in variants
    }


def rendered_times(title: str, times: dict[str, dict[str, float]], most: int = 12) -> Table:
    """The kinds that take longest for people, and the rest together."""
    kinds = sorted(set().union(*times.values()), key=lambda kind: -max(row.get(kind, 0.0) for row in times.values()))
    table = Table("ms a step", *times, title=title, title_justify="left")
    for kind in kinds[:most]:
        table.add_row(kind, *(f"{row.get(kind, 0.0):.1f}" for row in times.values()))
    table.add_row("others", *(f"{sum(row.get(kind, 0.0) for kind in kinds[most:]):.1f}" for row in times.values()))
    return table


def _profiled(program: Program, num_steps: int) -> Counter[str]:
    """Milliseconds a step of each kind, over all threads."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        program(num_steps).numpy()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    times: Counter[str] = Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name, separator, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if separator and " " not in kind and not name.startswith(("Eager", "Executor", "Kernel")):
                times[_group(kind)] += event.duration_ps / 1e9 / num_steps
    return times


def _group(kind: str) -> str:
    """Products by any name are one kind."""
    return "matrix products" if any(product in kind for product in _PRODUCTS) else kind.removeprefix("_Mkl")
