"""A digest of every variable, compared over the ranks: the proof that they train one model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import RunError

# More names than these make a line that nobody reads.
_SHOWN = 3


@dataclass(frozen=True)
class Difference:
    """What sets a rank apart."""

    rank: int
    """The lowest rank that differs from rank 0."""
    variables: tuple[str, ...]
    """What differs there, in the order of the variables."""

    def __str__(self) -> str:
        more = f" and {len(self.variables) - _SHOWN} more" if len(self.variables) > _SHOWN else ""
        return f"rank {self.rank} differs from rank 0 in {', '.join(self.variables[:_SHOWN])}{more}"


class Fingerprints:
    """64-bit digests of variables' bytes (FarmHash), and one over all of them, computed in one graph call.

    Two ranks whose variables differ in a single bit have different digests, but for one chance in 2^64. Variables are
    digested beside each other, at the speed of the memory; no copy of them is made. TensorFlow has the digest for the
    CPU alone, so from a GPU the variables come over its bus.

    Args:
        variables: Keras or TensorFlow variables of any dtype, the same ones in the same order on every rank.
        names: what to call them; their paths where none are given.
    """

    def __init__(self, variables: Sequence[Any], names: Sequence[str] | None = None):
        self._variables = list(variables)
        self.names = list(names or [getattr(variable, "path", None) or variable.name for variable in variables])
        self._compute = tf.function(self._digests)

    def digests(self) -> np.ndarray:
        """``(variables, 8)`` bytes."""
        return np.asarray(self._compute()[0])

    def difference(self, world: World) -> Difference | None:
        """Compares all ranks' digests with rank 0's; ``None`` when all are equal.

        Ranks that are equal exchange 8 bytes each, whatever the model; only those that differ send every digest.
        """
        if world.size == 1 or not self._variables:
            return None
        digests, whole = self._compute()
        everyone = np.asarray(world.all_gather(whole))  # (ranks, 8)
        if (everyone == everyone[0]).all():
            return None
        rows = world.all_gather_object(np.asarray(digests))
        rank = next(rank for rank, row in enumerate(rows) if not np.array_equal(row, rows[0]))
        if rows[rank].shape != rows[0].shape:
            return Difference(rank, (f"their number ({len(rows[rank])} variables, rank 0 has {len(rows[0])})",))
        differs = (rows[rank] != rows[0]).any(axis=1)
        return Difference(rank, tuple(name for name, found in zip(self.names, differs, strict=True) if found))

    def check(self, world: World, where: str) -> None:
        """Raises where ``difference`` finds one.

        Args:
            world: the ranks.
            where: when this is, for the message: ``"step 200"``.

        Raises:
            RunError: on every rank; names the lowest rank that differs, and its first differing variables.
        """
        found = self.difference(world)
        if found is not None:
            raise drifted(f"at {where}, {found}: the ranks no longer train one model and the run must not be used")

    def _digests(self) -> tuple[Any, Any]:
        digests = tf.stack([_fingerprint(variable) for variable in self._variables])
        return digests, tf.fingerprint(tf.reshape(digests, [1, -1]))


def drifted(message: str) -> RunError:
    """An error that every rank raises, so that one rank's telling of it is enough."""
    error = RunError(message)
    vars(error)["agreed"] = True
    return error


def _fingerprint(variable: Any) -> Any:
    data = tf.convert_to_tensor(variable)
    data = tf.cast(data, tf.uint8) if data.dtype == tf.bool else data
    return tf.fingerprint(tf.reshape(tf.bitcast(data, tf.uint8), [1, -1]))[0]  # (8,)
