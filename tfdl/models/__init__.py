"""Keras models by name. Each builder returns a plain ``keras.Model``, independent of data, task and launcher."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfdl.config import MODELS, PRESETS, ModelConfig, choose_model
from tfdl.errors import UserError
from tfdl.lazy import lazy_names

_PUBLIC = {"compute_precision": "tfdl.models.precision"}

__all__ = ["build_model", "compute_precision"]

if TYPE_CHECKING:
    from tfdl.models.precision import compute_precision as compute_precision

__getattr__ = lazy_names(__name__, _PUBLIC)


def build_model(model: str | ModelConfig = "cnn", /, **arguments: Any) -> Any:
    """Builds a model from a family's or preset's name and fields, or from a configuration.

    ``build_model("cnn", input_shape=(24, 24, 3), num_classes=10, filters=(32, 64))``

    Args:
        model: a family's name, a preset's name, or a configuration.
        **arguments: what the data decides, as the family's builder takes it (``input_shape`` and ``num_classes`` for
            images; ``vocab_size`` for texts). With a name also ``preset`` and fields of the family's configuration.
            Missing data arguments of a preset are those of its paper.

    Returns:
        A built ``keras.Model``.

    Raises:
        UserError: unknown name or field, a missing argument, sizes that do not fit together, or a builder that returns
            no built model.
    """
    family = _family_of(model, arguments.get("preset"))
    build = MODELS.load(family)
    data_arguments = _data_arguments(build)
    fields = {key: value for key, value in arguments.items() if key not in data_arguments}
    if isinstance(model, str):
        config = choose_model({"name": model, **fields})
    else:
        _refuse_fields(model, fields, data_arguments)
        config = choose_model(model)
    published = PRESETS[config.preset].data if config.preset in PRESETS else {}
    data = {}
    for name in data_arguments:
        value = arguments.get(name, published.get(name))
        if value is not None:
            data[name] = value
    missing = [name for name, is_required in data_arguments.items() if is_required and name not in data]
    if missing:
        raise UserError(f"the model {family!r} needs {' and '.join(missing)}, which its data decides")
    built = build(config, **data)
    _check_built(built, family)
    return built


def _check_built(model: Any, family: str) -> None:
    """Raises ``UserError`` if a builder did not return a built Keras model."""
    import keras

    if not isinstance(model, keras.Model):
        raise UserError(f"the builder of {family!r} returned a {type(model).__name__}, expected a keras.Model")
    if not model.built:
        raise UserError(
            f"the builder of {family!r} returned a model without weights, expected a built one; begin it with"
            " keras.Input(input_shape), or call it once"
        )


def _family_of(model: str | ModelConfig, preset: Any) -> str:
    if isinstance(model, str):
        return choose_model({"name": model, "preset": preset}).name
    return choose_model(model).name


def _refuse_fields(config: ModelConfig, fields: Mapping[str, Any], data_arguments: Mapping[str, bool]) -> None:
    if fields and not data_arguments:
        raise UserError(
            f"the builder of {config.name!r} takes none of {', '.join(fields)}, expected keyword-only arguments for"
            " what the data decides: def build(config, *, input_shape, num_classes)"
        )
    if fields:
        raise UserError(
            f"a configuration of {config.name!r} with {', '.join(fields)}, expected only {', '.join(data_arguments)};"
            " fields are part of the configuration"
        )


def _data_arguments(build: Callable[..., Any]) -> dict[str, bool]:
    """Name of each keyword-only argument of a builder, and whether it is required."""
    return {
        name: parameter.default is inspect.Parameter.empty
        for name, parameter in inspect.signature(build).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
