"""How long messages between the ranks take, by size."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.distributed import World

# Bytes: a single number, a bias, the gradients of a small model, a layer of a large model, several such layers.
SIZES = (4, 4_000, 400_000, 4_000_000, 32_000_000)
_FEWEST_REPEATS = 3
_MOST_REPEATS = 25
_SECONDS_PER_SIZE = 0.5


@dataclass(frozen=True)
class MessageTiming:
    """Times of all-reduces of one size, made as in a training step: inside a graph, on the device that computes."""

    size: int
    """Bytes that each rank contributes and receives."""
    repeats: int
    median_seconds: float
    fastest_seconds: float

    @property
    def bytes_per_second(self) -> float:
        """The size divided by the median; a ring of n ranks moves 2 (n - 1) / n times as much over each link."""
        return self.size / self.median_seconds

    def to_mapping(self) -> dict[str, float]:
        """Returns plain numbers, for JSON."""
        return {
            "bytes": self.size,
            "repeats": self.repeats,
            "median_seconds": self.median_seconds,
            "fastest_seconds": self.fastest_seconds,
            "bytes_per_second": self.bytes_per_second,
        }


def time_all_reduces(world: World) -> list[MessageTiming]:
    """Times all-reduces of every size, half a second each.

    Every rank must call it. Each returns the times of its own clock.
    """
    return [_time_size(size, world) for size in SIZES]


def _time_size(size: int, world: World) -> MessageTiming:
    message = tf.Variable(tf.zeros([size // 4], tf.float32))

    @tf.function(autograph=False)
    def reduce_once() -> Any:
        # Reading one element waits for the whole reduction, and copies only 4 bytes from the device.
        return world.all_reduce(message.read_value())[0]

    reduce_once()  # traces
    # Fewer repeats over a slow link. The same number on every rank: each repeat is a collective.
    affordable = int(_SECONDS_PER_SIZE / _seconds(reduce_once))
    repeats = world.broadcast_object(max(_FEWEST_REPEATS, min(_MOST_REPEATS, affordable)))
    seconds = [_seconds(reduce_once) for _ in range(repeats)]
    return MessageTiming(size, repeats, statistics.median(seconds), min(seconds))


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    float(function())  # the conversion waits for the device
    return time.perf_counter() - start
