"""The size and the cost of a model, by its name and fields."""

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
from tfdl.models import build_model, compute_precision
from tfdl.models.shapes_only import shapes_only
from tfdl.optimizers import build_optimizer

# Tokens of a sequence if neither the caller nor the model gives a length: the window of Zaremba et al. (2014).
_DEFAULT_SEQUENCE_LENGTH = 35
# Values of the variable that shows how much state an optimizer keeps for each value.
_PROBE_SIZE = 1000


@dataclass(frozen=True)
class LayerRow:
    """One layer of the model."""

    name: str
    kind: str
    output_shape: str
    """Empty if the layer has no single output shape."""
    parameters: int


@dataclass(frozen=True)
class ModelDescription:
    """The size of a model and the cost of a training step, with memory in bytes on one rank."""

    config: ModelConfig
    data: Mapping[str, Any]
    """The arguments of ``build_model`` that the data decides."""
    parameters: int
    trainable_parameters: int
    batch_size: int
    sequence_length: int | None
    """Tokens in a sequence; None if the inputs are not tokens."""
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
    """Builds a model without allocating its weights, traces a training step, and describes the size and cost of both.

    Args:
        model: the name of a family or preset, a mapping with ``name`` and fields, or a configuration.
        data: arguments of ``build_model`` that the data decides. Defaults to the data of the preset, or to the example
            of the family.
        batch_size: samples in a step on one rank.
        sequence_length: tokens in a sequence. Defaults to the length that the model is made for.
        optimizer: name of the optimizer whose state is included.
        precision: as ``TrainConfig.precision``.

    Returns:
        The description.

    Raises:
        UserError: unknown name or field, or sizes that do not fit together.
    """
    config = choose_model(model)
    convert(precision, PRECISIONS, "precision")
    arguments = {**_default_data(config), **(data or {})}
    state_per_parameter = _state_per_parameter(build_optimizer(optimizer))
    with shapes_only():
        with compute_precision(precision):
            built = build_model(config, **arguments)
        inputs = _input_specs(built, config, batch_size, sequence_length)
        reads_tokens = inputs[0].dtype.is_integer
        trainable_bytes = _num_bytes(built.trainable_variables)
        return ModelDescription(
            config=config,
            data=arguments,
            parameters=built.count_params(),
            trainable_parameters=_num_values(built.trainable_variables),
            batch_size=batch_size,
            sequence_length=inputs[0].shape[1] if reads_tokens else None,
            optimizer=optimizer,
            precision=precision,
            cost=step_cost(built, inputs),
            weights_bytes=_num_bytes(built.weights),
            gradients_bytes=trainable_bytes,
            optimizer_bytes=state_per_parameter * trainable_bytes,
            layers=_layer_rows(built),
        )


def _default_data(config: ModelConfig) -> Mapping[str, Any]:
    published = PRESETS[config.preset].data if config.preset in PRESETS else {}
    # A preset of a user may have no data of its own.
    return published or config.example_data


def _input_specs(model: Any, config: ModelConfig, batch_size: int, sequence_length: int | None) -> list[tf.TensorSpec]:
    """The shapes and dtypes of one batch of the model's inputs, without unknown sizes."""
    _check_sequence_length(model, config, sequence_length)
    tokens = sequence_length or getattr(config, "sequence_length", None) or _DEFAULT_SEQUENCE_LENGTH
    specs = []
    for model_input in model.inputs:
        sample_shape = [tokens if size is None else size for size in model_input.shape[1:]]
        specs.append(tf.TensorSpec([batch_size, *sample_shape], model_input.dtype))
    return specs


def _check_sequence_length(model: Any, config: ModelConfig, sequence_length: int | None) -> None:
    if sequence_length is None:
        return
    if not model.inputs[0].dtype.startswith("int"):
        raise UserError(f"sequence_length={sequence_length}, but {config.label} reads images; leave it out")
    config.check_length("sequence_length", sequence_length)


def _state_per_parameter(optimizer: Any) -> int:
    """The number of values that the optimizer keeps for each parameter: 2 for Adam."""
    probe = keras.Variable([0.0] * _PROBE_SIZE)
    optimizer.build([probe])
    # Rounded, since the optimizer also has a few scalars, such as its step.
    return round(_num_values(optimizer.variables) / _PROBE_SIZE)


def _num_values(variables: Any) -> int:
    return sum(tf.TensorShape(variable.shape).num_elements() or 0 for variable in variables)


def _num_bytes(variables: Any) -> int:
    return sum(_num_values([variable]) * tf.as_dtype(variable.dtype).size for variable in variables)


def _layer_rows(model: Any) -> list[LayerRow]:
    """The layers of the model in their order. The count of a layer includes the layers within it."""
    return [
        LayerRow(layer.name, type(layer).__name__, _output_shape(layer), layer.count_params())
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def _output_shape(layer: Any) -> str:
    """The output shape as text, such as ``(batch, any, 128)``."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer within a subclassed model, or one with several outputs
        return ""
    texts = ["any" if size is None else str(size) for size in shape]
    texts[0] = "batch"
    return f"({', '.join(texts)})"
