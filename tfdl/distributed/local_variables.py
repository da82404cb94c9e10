"""Variables that each rank trains for itself, as parts of one model."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError


def check_local(local: Any) -> tuple[Any, ...]:
    """Checks the layers and variables that are to stay local.

    Args:
        local: a layer, a variable, or a list of them.

    Returns:
        The layers and variables.

    Raises:
        UserError: something else.
    """
    parts = tuple(local) if isinstance(local, (list, tuple, set)) else (local,)
    for part in parts:
        if not isinstance(part, (keras.layers.Layer, keras.Variable)):
            raise UserError(f"local= got {type(part).__name__}, expected Keras layers or variables")
    return parts


def variables_of(parts: Iterable[Any]) -> list[Any]:
    """Returns the variables of layers, as far as they are built, and the variables themselves."""
    variables: list[Any] = []
    for part in parts:
        variables += part.variables if isinstance(part, keras.layers.Layer) else [part]
    return variables


def slots_of(optimizer: Any, variables: Sequence[Any]) -> list[Any]:
    """Returns the slots that an optimizer keeps for some of its variables (momentum, averaged weights).

    Keras's optimizers keep them in lists in the order of the variables that they train.

    Args:
        optimizer: a built Keras optimizer, not one around others.
        variables: some variables.
    """
    local_ids = {id(variable) for variable in variables}
    trained = list(getattr(optimizer, "_trainable_variables", []))
    positions = [position for position, variable in enumerate(trained) if id(variable) in local_ids]
    slots = []
    for name, value in vars(optimizer).items():
        if name != "_trainable_variables" and isinstance(value, (list, tuple)) and len(value) == len(trained):
            slots += [value[position] for position in positions if isinstance(value[position], keras.Variable)]
    known = {id(variable) for variable in optimizer.variables}
    return [slot for slot in slots if id(slot) in known]


def local_gradients(gradients: Sequence[Any], world: World, *, scale: bool, agree_on_infinity: bool) -> list[Any]:
    """The gradients of local variables, which stay on their rank.

    Args:
        gradients: tensors, ``tf.IndexedSlices`` or ``None``.
        world: the ranks.
        scale: whether to divide by the number of ranks.
        agree_on_infinity: whether all ranks' gradients become NaN if any rank's are not finite, because the optimizer
            skips such a step, and all ranks must skip the same ones.
    """
    found = list(gradients)
    if scale:
        found = [_map_values(gradient, lambda values: values / world.size) for gradient in found]
    if agree_on_infinity:
        zeros = [tf.zeros((), tf.float32)]
        zeros += [tf.reduce_sum(tf.cast(_values(each) * 0, tf.float32)) for each in found if each is not None]
        zero_or_nan = world.all_reduce(tf.add_n(zeros))
        found = [_map_values(each, lambda values: values + tf.cast(zero_or_nan, values.dtype)) for each in found]
    return found


def _values(gradient: Any) -> Any:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else tf.convert_to_tensor(gradient)


def _map_values(gradient: Any, function: Any) -> Any:
    """Applies a function to the values of a gradient of any kind."""
    if gradient is None:
        return None
    values = function(_values(gradient))
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return values
