"""How fast each rank computes. A step takes as long as on the slowest rank, since all wait for its gradients."""

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfdl.diagnosis.finding import Finding
from tfdl.distributed import World

_SIZE = 512
_SECONDS = 0.5
_FEWEST_REPEATS = 5
# Ranks that share a machine differ by some percent, and from one measurement to the next.
_SLOW = 1.3


def time_products(world: World) -> list[float]:
    """Times products of two matrices on all ranks at once, as in a step; called on every rank.

    Returns:
        The median of each rank, in seconds.
    """
    matrix = tf.Variable(tf.random.stateless_normal([_SIZE, _SIZE], seed=[0, 0]))

    @tf.function(autograph=False)
    def multiply() -> Any:
        # Reading one element waits for the product.
        return tf.matmul(matrix, matrix)[0, 0]

    multiply()  # traces
    world.barrier()
    seconds: list[float] = []
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or len(seconds) < _FEWEST_REPEATS:
        seconds.append(_seconds(multiply))
    medians: list[float] = world.all_gather_object(statistics.median(seconds))
    return medians


def check_compute_speed(seconds: list[float], world: World) -> Iterator[Finding]:
    """Names the slowest rank, and what it costs; called on every rank.

    Args:
        seconds: of each rank, as ``time_products`` returns them.
        world: the ranks.
    """
    hosts = world.all_gather_object(socket.gethostname())
    usual = statistics.median_low(seconds)
    slowest = max(range(len(seconds)), key=seconds.__getitem__)
    factor = seconds[slowest] / usual
    host = hosts[slowest]
    slow_ms = seconds[slowest] * 1e3
    usual_ms = usual * 1e3
    product = f"for a product of {_SIZE}x{_SIZE} matrices"
    if factor < _SLOW:
        yield Finding(
            "compute",
            "ok",
            f"even: the slowest is rank {slowest} on {host}, {factor:.2f} times the usual {usual_ms:.2f} ms {product}",
        )
        return
    yield Finding(
        "compute",
        "warning",
        f"rank {slowest} on {host} takes {factor:.1f} times as long as others ({slow_ms:.2f} ms {product},"
        f" {usual_ms:.2f} ms): every step waits for it, so a step may take up to {factor:.1f} times as long",
        f"look on {host} for other programs, fewer cores for this rank, or a throttled processor; or leave it out",
    )


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    float(function())
    return time.perf_counter() - start
