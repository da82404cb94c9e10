"""A model's size and cost, by name and fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfdl.config import PRESETS, ModelConfig, choose_model
from tfdl.config.fields import convert
from tfdl.config.train import PRECISIONS
from tfdl.errors import UserError
from tfdl.inspection.cost import Cost, step_cost
from tfdl.inspection.shapes_only import shapes_only
from tfdl.models import build_model, compute_precision
from tfdl.optimizers import build_optimizer

# Tokens of a sequence where neither the model nor the caller limits them: the window of Zaremba et al. (2014).
_TOKENS = 35


@dataclass(frozen=True)
class LayerRow:
    """One layer of the model."""

    name: str
    kind: str
    output_shape: str
    """Empty where a layer does not tell."""
    parameters: int


@dataclass(frozen=True)
class ModelDescription:
    """Sizes in bytes are those of one rank."""

    config: ModelConfig
    data: Mapping[str, Any]
    """The data arguments that the model was built with."""
    parameters: int
    trainable_parameters: int
    batch_size: int
    sequence_length: int | None
    """Tokens in a sequence; none where the inputs are no tokens."""
    optimizer: str
    precision: str
    cost: Cost
    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    layers: Sequence[LayerRow]

    @property
    def training_bytes(self) -> int:
        """Weights, gradients, optimizer state and activations together."""
        return self.weights_bytes + self.gradients_bytes + self.optimizer_bytes + self.cost.activation_bytes


def describe_model(
    model: str | ModelConfig | Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    *,
    batch_size: int = 1,
    sequence_length: int | None = None,
    optimizer: str = "adam",
    precision: str = "float32",
) -> ModelDescription:
    """Builds the model without its memory, traces a training step, and tells what both take.

    Args:
        model: a family's or preset's name, a mapping with ``name`` and fields, or a configuration.
        data: data arguments of ``build_model``; those left out are the preset's own, or the family's example.
        batch_size: samples in a step on one rank.
        sequence_length: tokens in a sequence; none takes what the model is made for.
        optimizer: whose state counts.
        precision: as ``TrainConfig.precision``.

    Raises:
        UserError: unknown names or fields, or sizes that do not fit together.
    """
    config = choose_model(model)
    convert(precision, PRECISIONS, "precision")
    arguments = {**_usual_data(config), **(data or {})}
    slots = _state_values(build_optimizer(optimizer))
    with shapes_only():
        with compute_precision(precision):
            built = build_model(config, **arguments)
        inputs = _inputs(built, config, batch_size, sequence_length)
        cost = step_cost(built, inputs)
        return ModelDescription(
            config=config,
            data=arguments,
            parameters=built.count_params(),
            trainable_parameters=_count(built.trainable_variables),
            batch_size=batch_size,
            sequence_length=inputs[0].shape[1] if inputs[0].dtype.is_integer else None,
            optimizer=optimizer,
            precision=precision,
            cost=cost,
            weights_bytes=_bytes(built.weights),
            gradients_bytes=_bytes(built.trainable_variables),
            optimizer_bytes=slots * _bytes(built.trainable_variables),
            layers=_layers(built),
        )


def _usual_data(config: ModelConfig) -> Mapping[str, Any]:
    return PRESETS[config.preset].data if config.preset in PRESETS else config.example_data


def _inputs(model: Any, config: ModelConfig, batch_size: int, sequence_length: int | None) -> list[tf.TensorSpec]:
    """One batch of what the model takes, every dimension known."""
    _check_length(model, config, sequence_length)
    tokens = sequence_length or getattr(config, "sequence_length", None) or _TOKENS
    sizes = [[batch_size, *(tokens if size is None else size for size in given.shape[1:])] for given in model.inputs]
    return [tf.TensorSpec(size, given.dtype) for size, given in zip(sizes, model.inputs, strict=True)]


def _check_length(model: Any, config: ModelConfig, sequence_length: int | None) -> None:
    if sequence_length is None:
        return
    if not model.inputs[0].dtype.startswith("int"):
        raise UserError(f"sequence_length={sequence_length}, but {config.label} reads images; leave it out")
    config.check_length("sequence_length", sequence_length)


def _state_values(optimizer: Any) -> int:
    """How many values the optimizer keeps for each parameter; 2 for Adam."""
    probe = keras.Variable([0.0] * 1000)
    optimizer.build([probe])
    return round(_count(optimizer.variables) / 1000)


def _count(variables: Any) -> int:
    return sum(tf.TensorShape(variable.shape).num_elements() or 0 for variable in variables)


def _bytes(variables: Any) -> int:
    return sum(_count([variable]) * tf.as_dtype(variable.dtype).size for variable in variables)


def _layers(model: Any) -> list[LayerRow]:
    """The model's own layers, in their order; the layers within one are part of its count."""
    return [
        LayerRow(layer.name, type(layer).__name__, _output_shape(layer), layer.count_params())
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def _output_shape(layer: Any) -> str:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer within a subclassed model, or one with several outputs
        return ""
    return (
        "("
        + ", ".join("batch" if place == 0 else "any" if size is None else str(size) for place, size in enumerate(shape))
        + ")"
    )
