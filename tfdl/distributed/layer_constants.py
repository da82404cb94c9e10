"""What layers keep that is no variable: adapted statistics, vocabularies, arrays. It is not broadcast."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.errors import UserError


@dataclass(frozen=True)
class Constant:
    """One such value of a layer.

    Attributes:
        layer: the name of the layer.
        kind: the name of its class.
        name: the layer's attribute.
        digest: of the value.
    """

    layer: str
    kind: str
    name: str
    digest: str


def refresh_adapted(layers: Sequence[Any]) -> bool:
    """Makes ``Normalization`` use its variables, which have just been broadcast.

    It computes with constants that ``adapt`` made from its variables.

    Returns:
        Whether a constant of this rank has changed.
    """
    has_changed = False
    for layer in layers:
        if not isinstance(layer, keras.layers.Normalization):
            continue
        before = constants_of([layer])
        layer.finalize_state()
        has_changed |= constants_of([layer]) != before
    return has_changed


def constants_of(layers: Sequence[Any]) -> list[Constant]:
    """Describes the values of layers that are no variables.

    Those are vocabularies, and attributes that are arrays or tensors, also in lists. Of Keras's own layers also floats,
    such as the scale of a ``Rescaling``. Whole numbers and texts are left out, since a layer may keep its rank, and
    attributes of models and names with an underscore, which may be a rank's own on purpose. What a function refers to
    (a ``Lambda``) cannot be known.

    Args:
        layers: of one rank's models.
    """
    found = []
    for layer in layers:
        for name, value in _values(layer):
            found.append(Constant(layer.name, type(layer).__name__, name, _digest(value)))
    return found


def check_equal_constants(everyone: Sequence[Sequence[Constant]]) -> None:
    """Compares the ranks' values. Names of layers may differ, as Keras counts them.

    Args:
        everyone: what ``constants_of`` has found on each rank.

    Raises:
        UserError: names the layer and the value.
    """
    for rank, found in enumerate(everyone):
        for mine, theirs in zip(everyone[0], found, strict=False):
            if (mine.kind, mine.name, mine.digest) != (theirs.kind, theirs.name, theirs.digest):
                raise UserError(
                    f"layer {mine.layer!r} ({mine.kind}) has another {mine.name} on rank {rank} than on rank 0, and it"
                    " is no variable, so it is not broadcast; make it from the same data on every rank: call adapt(),"
                    " or compute it, before the data is divided among the ranks"
                )
        if len(found) != len(everyone[0]):
            first = (max(everyone[0], found, key=len))[min(len(everyone[0]), len(found))]
            raise UserError(
                f"layer {first.layer!r} ({first.kind}) has {first.name} on one of the ranks 0 and {rank} only; adapt or"
                " build the same layers on every rank"
            )


def _values(layer: Any) -> list[tuple[str, Any]]:
    is_of_keras = type(layer).__module__.startswith("keras.")
    values = []
    if hasattr(layer, "get_vocabulary") and hasattr(layer, "lookup_table"):
        values.append(("vocabulary", [str(token) for token in layer.get_vocabulary()]))
    if isinstance(layer, keras.Model):
        return values
    for name, value in sorted(vars(layer).items()):
        if name.startswith("_"):
            continue
        leaves = keras.tree.flatten(value) if isinstance(value, (list, tuple, dict)) else [value]
        numbers = [leaf for leaf in leaves if _is_array(leaf) or (is_of_keras and isinstance(leaf, float))]
        if numbers:
            values.append((name, numbers))
    return values


def _is_array(value: Any) -> bool:
    if isinstance(value, tf.Tensor):
        return not tf.is_symbolic_tensor(value) and value.dtype not in (tf.resource, tf.variant)
    return isinstance(value, np.ndarray)


def _digest(values: Sequence[Any]) -> str:
    hasher = hashlib.sha256()
    for value in values:
        array = np.asarray(value)
        content = array.tobytes() if array.dtype.kind != "O" else repr(array.tolist()).encode()
        hasher.update(f"{array.dtype} {array.shape} ".encode())
        hasher.update(content)
    return hasher.hexdigest()
