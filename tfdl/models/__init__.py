"""Keras models by name. Each builder returns a plain ``keras.Model`` that knows no data, task or launcher."""

from importlib import import_module
from typing import Any

from tfdl.config import MODEL_CONFIGS, ModelConfig
from tfdl.config.train import choose

__all__ = ["build_model"]

# Family -> the module with its `build` function.
_BUILDERS = {"cnn": "tfdl.models.cnn"}


def build_model(model: str | ModelConfig = "cnn", /, *, input_shape: Any, num_classes: int, **fields: Any) -> Any:
    """Builds a model from a name and fields, or from a configuration.

    ``build_model("cnn", input_shape=(24, 24, 3), num_classes=10, filters=(32, 64))``

    Args:
        model: a family's name, or its configuration.
        input_shape: one sample's shape without the batch, such as ``(height, width, channels)``.
        num_classes: number of logits.
        **fields: fields of the family's configuration, with a name only.

    Returns:
        A built ``keras.Model`` from inputs ``(batch, *input_shape)`` to logits ``(batch, num_classes)``.

    Raises:
        UserError: unknown name or field, or sizes that do not fit together.
    """
    config = choose("model", MODEL_CONFIGS, {"name": model, **fields} if isinstance(model, str) else model)
    builder = import_module(_BUILDERS[config.name])
    return builder.build(config, input_shape=tuple(input_shape), num_classes=num_classes)
