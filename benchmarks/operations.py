"""Where the time of TensorFlow programs goes, by kind of operation, as TensorFlow's profiler measures it."""

import statistics
import tempfile
from collections import Counter
from pathlib import Path

import tensorflow as tf
from comparison import Program
from rich.table import Table
from tensorflow.tsl.profiler.protobuf import xplane_pb2

_MATRIX_PRODUCTS = ("MatMul", "Einsum")
# Events of the runtime: they contain the operations, which have events too.
_RUNTIME_EVENTS = ("Eager", "Executor", "Kernel")


def operation_times(variants: dict[str, Program], rounds: int, num_steps: int = 4) -> dict[str, dict[str, float]]:
    """Profiles the variants in turns.

    Args:
        variants: name -> program.
        rounds: how often each variant is profiled.
        num_steps: steps of one profile.

    Returns:
        Variant -> kind of operation -> milliseconds a step, the median over the rounds.
    """
    for program in variants.values():
        program(3)  # traces, and warms up
    profiles: dict[str, list[Counter[str]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, program in variants.items():
            profiles[name].append(_profile(program, num_steps))
    return {name: _medians(profiles[name]) for name in variants}


def _medians(profiles: list[Counter[str]]) -> dict[str, float]:
    kinds = set().union(*profiles)
    return {kind: statistics.median(profile[kind] for profile in profiles) for kind in kinds}


def operations_table(title: str, times: dict[str, dict[str, float]], most: int = 12) -> Table:
    """Makes a table of the kinds that take longest, and the sum of the others.

    Args:
        title: title of the table.
        times: as ``operation_times`` returns them.
        most: number of kinds that get a row.
    """

    def longest_time(kind: str) -> float:
        return max(of_variant.get(kind, 0.0) for of_variant in times.values())

    kinds = sorted(set().union(*times.values()), key=longest_time, reverse=True)
    table = Table("ms a step", *times, title=title, title_justify="left")
    for kind in kinds[:most]:
        table.add_row(kind, *(f"{of_variant.get(kind, 0.0):.1f}" for of_variant in times.values()))
    sums = [sum(of_variant.get(kind, 0.0) for kind in kinds[most:]) for of_variant in times.values()]
    table.add_row("others", *(f"{value:.1f}" for value in sums))
    return table


def _profile(program: Program, num_steps: int) -> Counter[str]:
    """Milliseconds a step of each kind, summed over all threads."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        program(num_steps).numpy()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    times: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                # "name of the node:kind of operation"
                name, separator, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if separator and " " not in kind and not name.startswith(_RUNTIME_EVENTS):
                    times[_group_of(kind)] += event.duration_ps / 1e9 / num_steps
    return times


def _group_of(kind: str) -> str:
    """Groups matrix products of all names, and oneDNN's kernels with TensorFlow's."""
    if any(product in kind for product in _MATRIX_PRODUCTS):
        return "matrix products"
    return kind.removeprefix("_Mkl")
