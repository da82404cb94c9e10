"""A digest of every variable, compared over the ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World

# More names make a line that nobody reads.
_SHOWN_NAMES = 3


@dataclass(frozen=True)
class Difference:
    """How a rank differs from rank 0."""

    rank: int
    """The lowest rank that differs from rank 0."""
    variables: tuple[str, ...]
    """The variables that differ there, in their order."""

    def __str__(self) -> str:
        names = ", ".join(self.variables[:_SHOWN_NAMES])
        hidden = len(self.variables) - _SHOWN_NAMES
        more = f" and {hidden} more" if hidden > 0 else ""
        return f"rank {self.rank} differs from rank 0 in {names}{more}"


class Fingerprints:
    """64-bit digests of variables' bytes (FarmHash), and one over all of them, computed in one graph call.

    Two ranks whose variables differ in a single bit have different digests, except with a probability of 2^-64.
    Variables are digested side by side, at the speed of the memory, without a copy. TensorFlow has the digest for the
    CPU only, so from a GPU the variables travel over its bus.

    Args:
        variables: Keras or TensorFlow variables of any dtype, the same ones in the same order on every rank.
        names: what to call them in messages; by default their paths.
    """

    def __init__(self, variables: Sequence[Any], names: Sequence[str] | None = None):
        self._variables = list(variables)
        if names is None:
            names = [getattr(variable, "path", None) or variable.name for variable in variables]
        self.names = list(names)
        self._compute = tf.function(self._digests, autograph=False)

    def digests(self) -> np.ndarray:
        """``(variables, 8)`` bytes."""
        return np.asarray(self._compute()[0])

    def difference(self, world: World) -> Difference | None:
        """Compares all ranks' digests with rank 0's.

        Ranks that are equal exchange 8 bytes each, whatever the model; only ranks that differ send every digest.

        Args:
            world: the ranks; all of them must call.

        Returns:
            ``None`` if all are equal, else the lowest rank that differs.
        """
        if world.size == 1 or not self._variables:
            return None
        digests, whole = self._compute()
        all_whole = np.asarray(world.all_gather(whole))  # (ranks, 8)
        if (all_whole == all_whole[0]).all():
            return None
        all_digests = world.all_gather_object(np.asarray(digests))
        first = all_digests[0]
        rank = next(rank for rank, row in enumerate(all_digests) if not np.array_equal(row, first))
        if all_digests[rank].shape != first.shape:
            counts = f"their number ({len(all_digests[rank])} variables, rank 0 has {len(first)})"
            return Difference(rank, (counts,))
        differs = (all_digests[rank] != first).any(axis=1)
        return Difference(rank, tuple(name for name, is_other in zip(self.names, differs, strict=True) if is_other))

    def _digests(self) -> tuple[Any, Any]:
        digests = tf.stack([_fingerprint(variable) for variable in self._variables])
        return digests, tf.fingerprint(tf.reshape(digests, [1, -1]))


def _fingerprint(variable: Any) -> Any:
    data = tf.convert_to_tensor(variable)
    if data.dtype == tf.bool:
        data = tf.cast(data, tf.uint8)
    return tf.fingerprint(tf.reshape(tf.bitcast(data, tf.uint8), [1, -1]))[0]  # (8,)
