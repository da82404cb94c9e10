"""Keras models by name. Each builder returns a plain ``keras.Model`` that knows no data, task or launcher."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfdl.config import PRESETS, ModelConfig, choose_model
from tfdl.errors import UserError
from tfdl.lazy import lazy_names

__all__ = ["build_model", "compute_precision"]

if TYPE_CHECKING:
    from tfdl.models.precision import compute_precision as compute_precision

__getattr__ = lazy_names(__name__, {"compute_precision": "tfdl.models.precision"})

# Family -> the module with its `build` function.
_BUILDERS = {
    "cnn": "tfdl.models.cnn",
    "resnet": "tfdl.models.resnet",
    "rnn": "tfdl.models.rnn",
    "transformer": "tfdl.models.transformer",
}


def build_model(model: str | ModelConfig = "cnn", /, **arguments: Any) -> Any:
    """Builds a model from a family's or preset's name and fields, or from a configuration.

    ``build_model("cnn", input_shape=(24, 24, 3), num_classes=10, filters=(32, 64))``

    Args:
        model: a family's name, a preset's name, or a configuration.
        **arguments: what the data decides, as the family's builder takes it (``input_shape`` and ``num_classes`` of
            images; ``vocab_size`` of text); with a name also ``preset`` and fields of the family's configuration. What
            a preset's data is not said to be is its paper's.

    Returns:
        A built ``keras.Model``.

    Raises:
        UserError: unknown name or field, a missing argument, or sizes that do not fit together.
    """
    family = choose_model(_only_names(model, arguments)).name
    builder = import_module(_BUILDERS[family])
    data_names = _data_names(builder.build)
    fields = {key: value for key, value in arguments.items() if key not in data_names}
    config = choose_model({"name": model, **fields} if isinstance(model, str) else _whole(model, fields, data_names))
    published = PRESETS[config.preset].data if config.preset in PRESETS else {}
    data = {key: arguments.get(key, published.get(key)) for key in data_names}
    given = {key: value for key, value in data.items() if value is not None}
    missing = [key for key in _required(builder.build) if key not in given]
    if missing:
        raise UserError(f"the model {family!r} needs {' and '.join(missing)}, which its data decides")
    return builder.build(config, **given)


def _only_names(model: str | ModelConfig, arguments: Mapping[str, Any]) -> Any:
    if not isinstance(model, str):
        return model
    return {"name": model, "preset": arguments.get("preset")}


def _whole(config: ModelConfig, unknown: Mapping[str, Any], data_names: list[str]) -> ModelConfig:
    if unknown:
        raise UserError(
            f"a configuration of {config.name!r} with {', '.join(unknown)}, expected of {', '.join(data_names)} only;"
            " fields are part of the configuration"
        )
    return config


def _data_names(build: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(build).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]


def _required(build: Any) -> list[str]:
    parameters = inspect.signature(build).parameters
    return [name for name in _data_names(build) if parameters[name].default is inspect.Parameter.empty]
