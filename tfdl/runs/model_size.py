"""Whether a run's configuration describes a model of the size of its weights, before the model takes memory."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfdl.config import MODELS, ModelConfig
from tfdl.config.models.keras import KerasModelConfig
from tfdl.errors import RunError, UserError
from tfdl.models import build_model
from tfdl.models.shapes_only import shapes_only
from tfdl.runs.checkpoint import verify
from tfdl.runs.checkpoint_content import WEIGHTS
from tfdl.runs.checkpoint_folder import newest_first
from tfdl.runs.variables import shapes_of_variables

# Fields that may be larger than any variable, such as the positions of a text.
_LEAST_BOUND = 2**24
# Layers have variables, or stand beside some that have.
_LAYERS_PER_VARIABLE = 10
_LEAST_LAYERS = 100


def check_model_size(config: ModelConfig, arguments: dict[str, Any], checkpoint: Path) -> None:
    """Refuses a configuration that somebody changed to a model of any size.

    A model of a user's plugin is not checked: its builder is a program that the user trusts.

    Args:
        config: of the model.
        arguments: of ``build_model``, as the run's task has them.
        checkpoint: whose weights the model will have.

    Raises:
        UserError: the model has more values than the weights.
        RunError: the weights cannot be read.
    """
    if MODELS.part(config.name).provider != "tfdl" or isinstance(config, KerasModelConfig):
        return
    stored = num_values(checkpoint)
    num_variables = len(shapes_of_variables(checkpoint / WEIGHTS))
    _check_fields(config, stored, num_variables, checkpoint)
    random_state = random.getstate()  # Keras draws seeds from it
    with shapes_only():
        model = build_model(config, **arguments)
        needed = sum(tf.TensorShape(variable.shape).num_elements() or 0 for variable in model.weights)
    random.setstate(random_state)
    if needed > stored:
        raise UserError(
            f"the configuration describes a model of {needed:,} values, but {str(checkpoint)!r} has {stored:,}: they do"
            " not belong together; copy the run again"
        )


def check_resumed_size(config: ModelConfig, arguments: dict[str, Any], checkpoints: Path) -> None:
    """``check_model_size`` with the newest checkpoint whose weights can be read; damaged ones are passed over later.

    Args:
        config: of the model.
        arguments: as for ``check_model_size``.
        checkpoints: the run's folder of checkpoints.

    Raises:
        UserError: the model has more values than the weights.
    """
    for checkpoint in newest_first(checkpoints):
        try:
            return check_model_size(config, arguments, checkpoint)
        except RunError:
            continue
    return None


def num_values(checkpoint: Path) -> int:
    """The number of values of a checkpoint's weights.

    Args:
        checkpoint: its folder.

    Raises:
        RunError: the weights cannot be read.
    """
    try:
        shapes = shapes_of_variables(checkpoint / WEIGHTS).values()
    except RunError:
        verify(checkpoint)  # has the better message
        raise
    return sum(tf.TensorShape(shape).num_elements() or 0 for shape in shapes)


def _check_fields(config: ModelConfig, num_values: int, num_variables: int, checkpoint: Path) -> None:
    """Refuses sizes that no model with so many values has: even a model without values would take very long."""
    most_layers = max(_LEAST_LAYERS, _LAYERS_PER_VARIABLE * num_variables)
    for name, value in _sizes(config):
        most = most_layers if "layers" in name else max(_LEAST_BOUND, num_values)
        if value > most:
            raise UserError(
                f"model.{name}={value}, expected at most {most}, since {str(checkpoint)!r} has {num_variables:,}"
                f" variables of {num_values:,} values; copy the run again"
            )


def _sizes(config: ModelConfig) -> Iterator[tuple[str, int]]:
    """The whole numbers of a configuration; of a list also its length, as that of layers."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, tuple):
            yield f"layers of {field.name}", len(value)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int) and not isinstance(item, bool):
                yield field.name, item
