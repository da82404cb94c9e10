"""How long messages between the ranks take, by size."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.distributed import World

# Bytes: a number, a bias, the gradients of a small model, a layer of a large one, several of them.
SIZES = (4, 4_000, 400_000, 4_000_000, 32_000_000)
_MOST, _LEAST = 25, 3
_SECONDS = 0.5


@dataclass(frozen=True)
class MessageTiming:
    """All-reduces of one size, as a training step makes them: inside a graph, on the device that computes."""

    size: int
    """Bytes that each rank gives and gets."""
    repeats: int
    median_seconds: float
    fastest_seconds: float

    @property
    def bytes_per_second(self) -> float:
        """The size over the median; a ring of n ranks moves 2 (n - 1) / n times as much over each link."""
        return self.size / self.median_seconds

    def to_mapping(self) -> dict[str, float]:
        """Plain numbers, for JSON."""
        return {
            "bytes": self.size,
            "repeats": self.repeats,
            "median_seconds": self.median_seconds,
            "fastest_seconds": self.fastest_seconds,
            "bytes_per_second": self.bytes_per_second,
        }


def time_all_reduces(world: World) -> list[MessageTiming]:
    """For every rank to call; each gets its own clock's numbers. Takes half a second for each size."""
    return [_timed(size, world) for size in SIZES]


def _timed(size: int, world: World) -> MessageTiming:
    message = tf.Variable(tf.zeros([size // 4], tf.float32))

    @tf.function
    def reduce_once() -> Any:
        # One number comes back from the device, when all of them are there.
        return world.all_reduce(message.read_value())[0]

    reduce_once()  # traces
    # The same number of times on every rank, and few where the link is slow.
    repeats = world.broadcast_object(max(_LEAST, min(_MOST, int(_SECONDS / _seconds(reduce_once)))))
    seconds = [_seconds(reduce_once) for _ in range(repeats)]
    return MessageTiming(size, repeats, statistics.median(seconds), min(seconds))


def _seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    float(function())
    return time.perf_counter() - begin
