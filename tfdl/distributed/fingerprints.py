"""A digest of every variable, compared over the ranks: the proof that they train one model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import RunError


class Fingerprints:
    """64-bit digests of variables' bytes (FarmHash), computed in one graph call.

    Two ranks whose variables differ in a single bit have different digests, but for one chance in 2^64.

    Args:
        variables: Keras or TensorFlow variables, the same ones in the same order on every rank.
        names: what to call them; their paths where none are given.
    """

    def __init__(self, variables: Sequence[Any], names: Sequence[str] | None = None):
        self._variables = list(variables)
        self.names = list(names or [getattr(variable, "path", None) or variable.name for variable in variables])
        self._compute = tf.function(self._digests)

    def digests(self) -> np.ndarray:
        """``(variables, 8)`` bytes."""
        return np.asarray(self._compute())

    def check(self, world: World, where: str) -> None:
        """Compares all ranks' digests with rank 0's.

        Args:
            world: the ranks.
            where: when this is, for the message: ``"step 200"``.

        Raises:
            RunError: on every rank; names the lowest rank that differs, and its first differing variables.
        """
        if world.size == 1 or not self._variables:
            return
        everyone = np.asarray(world.all_gather(tf.constant(self.digests()[None])))  # (ranks, variables, 8)
        differs = (everyone != everyone[0]).any(axis=2)
        if not differs.any():
            return
        rank = int(differs.any(axis=1).argmax())
        names = [name for name, found in zip(self.names, differs[rank], strict=True) if found]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise RunError(
            f"at {where}, rank {rank} differs from rank 0 in {', '.join(names[:3])}{more}: the ranks no longer train"
            " one model and the run must not be used"
        )

    def _digests(self) -> Any:
        return tf.stack([_fingerprint(variable) for variable in self._variables])


def _fingerprint(variable: Any) -> Any:
    data = tf.convert_to_tensor(variable)
    data = tf.cast(data, tf.uint8) if data.dtype == tf.bool else data
    return tf.fingerprint(tf.reshape(tf.bitcast(data, tf.uint8), [1, -1]))[0]  # (8,)
