"""Times variants of a step in turns, on one rank or on all ranks at once."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Run = Callable[[int], object]
"""Runs so many steps."""


def time_in_turns(
    runs: Mapping[Name, Run], num_steps: Mapping[Name, int], rounds: int, barrier: Callable[[], object]
) -> dict[Name, list[float]]:
    """Times every variant once in each round.

    The order rotates: each variant is the first of a round as often as the others. It is the same on all ranks.

    Args:
        runs: name -> a variant.
        num_steps: name -> steps of one measurement.
        rounds: number of rounds.
        barrier: waits for all ranks; called before each measurement.

    Returns:
        Name -> seconds of a step in every round.
    """
    order = list(runs)
    seconds: dict[Name, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for index in range(len(order)):
            name = order[(turn + index) % len(order)]
            seconds[name].append(time_steps(runs[name], num_steps[name], barrier))
    return seconds


def time_steps(run: Run, num_steps: int, barrier: Callable[[], object]) -> float:
    """Returns the seconds of one step, after a barrier."""
    barrier()
    start = time.perf_counter()
    run(num_steps)
    return (time.perf_counter() - start) / num_steps
