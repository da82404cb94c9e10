"""Saves and rebuilds a Keras model that Python code passed to ``tfdl.train``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.config.models.keras import KerasModelConfig
from tfdl.errors import UserError
from tfdl.json_files import read_json_object
from tfdl.models.shapes_only import shapes_only
from tfdl.serialization import from_json, to_json

_ASSET = "keras_model.json"
_WHAT = "the model"
# Vocabularies of lookup layers are part of it.
_MOST_BYTES = 128 * 2**20
_FIX = "return every argument of __init__ from get_config(), and create layers in __init__"
# Relative to the output where that is larger than 1. The same operations compute both outputs.
_TOLERANCE = 1e-4


def build(
    config: KerasModelConfig,  # noqa: ARG001
    *,
    input_shape: Any = None,  # noqa: ARG001
    num_classes: Any = None,  # noqa: ARG001
    vocab_size: Any = None,  # noqa: ARG001
) -> Any:
    """Raises ``UserError``, whatever the arguments: such a model has no builder."""
    raise UserError("a Keras model of the user is rebuilt from a run, or passed by Python code: tfdl.train(model=...)")


def save_model(model: Any, assets: Path) -> None:
    """Writes what Keras needs to rebuild a model, without its weights.

    Args:
        model: a built ``keras.Model``.
        assets: the folder.

    Raises:
        UserError: a class that is not registered, a Lambda layer, or a class whose configuration is unknown.
    """
    (assets / _ASSET).write_text(json.dumps(to_json(model, _WHAT), indent=1) + "\n", encoding="utf-8")


def load_model(assets: Path, build_it: Callable[[Any], Any], most_values: int | None = None) -> Any:
    """Rebuilds a model with new weights.

    Args:
        assets: the folder that ``save_model`` wrote to.
        build_it: calls the model on a batch, so that it is built.
        most_values: of the model's weights; a larger model is refused before it takes memory.

    Raises:
        UserError: a class that is not registered in this process, or a file that cannot be used.
    """
    written = read_json_object(assets / _ASSET, "copy the run again", _MOST_BYTES)
    if most_values is not None:
        _check_size(written, most_values, assets)
    return _rebuilt(written, build_it)


def _check_size(written: Any, most_values: int, assets: Path) -> None:
    """Refuses a model with more values than its weights have, as far as it is built without data."""
    try:
        with shapes_only():
            model = from_json(written, _WHAT)
            sizes = [tf.TensorShape(variable.shape).num_elements() or 0 for variable in getattr(model, "weights", ())]
    except UserError:
        raise
    except Exception:
        return  # layers that need the values of their variables are built below
    if sum(sizes) > most_values:
        raise UserError(
            f"{str(assets / _ASSET)!r} describes a model of {sum(sizes):,} values, but the weights have"
            f" {most_values:,}: they do not belong together; copy the run again"
        )


def finalize_layers(model: Any) -> None:
    """Lets layers compute what they derive from their variables, such as ``keras.layers.Normalization``.

    Call it after new values were assigned to variables.

    Args:
        model: a built ``keras.Model``.
    """
    for layer in model._flatten_layers():
        # Without variables, a layer would compute its state from data that it no longer has.
        if hasattr(layer, "finalize_state") and layer.variables:
            layer.finalize_state()


def check_rebuilding(model: Any, build_it: Callable[[Any], dict[str, Any]]) -> None:
    """Checks that another process can rebuild the model.

    Args:
        model: a built ``keras.Model``.
        build_it: calls a model on a batch, so that it is built, and returns its outputs by name.

    Raises:
        UserError: it cannot be saved, or the rebuilt model has other variables or other outputs.
    """
    rebuilt = _rebuilt(to_json(model, _WHAT), build_it)
    num_variables = len(model.variables)
    num_rebuilt = len(rebuilt.variables)
    if num_rebuilt != num_variables:
        raise UserError(
            f"the model has {num_variables} variables, and {num_rebuilt} when it is rebuilt from its get_config();"
            f" {_FIX}"
        )
    for variable, rebuilt_variable in zip(model.variables, rebuilt.variables, strict=True):
        expected_type = _type_of(variable)
        rebuilt_type = _type_of(rebuilt_variable)
        if rebuilt_type != expected_type:
            raise UserError(
                f"the model's variable {variable.path} is {expected_type}, and {rebuilt_type} when the model is rebuilt"
                f" from its get_config(); {_FIX}"
            )
        rebuilt_variable.assign(variable)
    finalize_layers(rebuilt)
    rebuilt_outputs = build_it(rebuilt)
    outputs = build_it(model)
    if _are_equal(outputs, rebuilt_outputs) or not _are_equal(outputs, build_it(model)):
        return  # equal, or random
    raise UserError(
        "the model has other outputs when it is rebuilt from its get_config(), with the same weights: an argument or"
        f" state of a layer is lost; {_FIX}"
    )


def _are_equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two sets of outputs are equal, up to rounding."""
    for name, output in first.items():
        values = np.asarray(output)
        others = np.asarray(second[name])
        if values.shape != others.shape:
            return False
        if np.issubdtype(values.dtype, np.floating):
            if not np.allclose(values, others, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
                return False
        elif not np.array_equal(values, others):
            return False
    return True


def check_normalization(model: Any, num_ranks: int) -> None:
    """Raises ``UserError`` if a batch normalization would compute its statistics from one rank's samples alone.

    Args:
        model: a ``keras.Model``.
        num_ranks: the number of ranks.
    """
    if num_ranks == 1:
        return
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise UserError(
                f"the layer {layer.name!r} is keras.layers.BatchNormalization, which takes statistics over the samples"
                f" of one rank, and {num_ranks} ranks train; use its drop-in replacement"
                " tfdl.layers.BatchNormalization, or freeze the layer (layer.trainable = False)"
            )


def check_own_losses(model: Any) -> None:
    """Raises ``UserError`` if ``add_loss`` was not given one number: a sum over samples would depend on the ranks.

    Args:
        model: a ``keras.Model`` that was called.
    """
    for loss in model.losses:
        if loss.shape.rank != 0:
            raise UserError(
                f"add_loss got a tensor of shape {tuple(loss.shape)}, expected one number, the mean over the samples:"
                " self.add_loss(keras.ops.mean(values))"
            )


def _type_of(variable: Any) -> str:
    """Dtype and shape, such as ``float32 (3, 8)``."""
    return f"{variable.dtype} {tuple(variable.shape)}"


def _rebuilt(written: Any, build_it: Callable[[Any], Any]) -> Any:
    model = from_json(written, _WHAT)
    if not isinstance(model, keras.Model):
        raise UserError(f"{_WHAT} is a {type(model).__name__}, expected a keras.Model")
    try:
        build_it(model)
    except tf.errors.FailedPreconditionError as error:
        raise UserError(
            f"{_WHAT} cannot be called when it is rebuilt from its get_config(): a lookup table is empty; pass the"
            " vocabulary of an adapted StringLookup, IntegerLookup or TextVectorization as its argument:"
            " vocabulary=layer.get_vocabulary()"
        ) from error
    return model
