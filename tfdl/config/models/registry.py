"""Every model family and preset by name."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config.choice import choose
from tfdl.config.fields import convert
from tfdl.config.models.base import ModelConfig, Preset
from tfdl.config.models.cnn import CNNConfig
from tfdl.config.models.keras import KerasModelConfig
from tfdl.config.models.resnet import RESNET_PRESETS, ResNetConfig
from tfdl.config.models.rnn import RNN_PRESETS, RNNConfig
from tfdl.config.models.transformer import TransformerConfig
from tfdl.config.models.transformer_presets import TRANSFORMER_PRESETS
from tfdl.errors import UserError, nearest
from tfdl.registry import Registry

MODELS: Registry[type[ModelConfig]] = Registry("model")
"""Every model family's configuration by name."""
PRESETS: dict[str, Preset] = {}
"""Every preset by name."""


def register_model(
    config: type[ModelConfig], build: Any, presets: Iterable[Preset] = (), *, is_listed: bool = True
) -> None:
    """Declares a model family.

    Args:
        config: a frozen dataclass that derives from ``ModelConfig``; its ``name`` is the family's name.
        build: ``"module:function"`` or the function itself: ``build(config, *, ...)`` to a built ``keras.Model``. Its
            keyword-only arguments are what the data decides (``input_shape``, ``num_classes``, ``vocab_size``); a task
            passes them by name.
        presets: models of the family that have their own names.
        is_listed: whether ``tfdl models`` lists it.

    Raises:
        ValueError: a name is taken, or not a plain name.
    """
    presets = tuple(presets)
    for preset in presets:
        registered = PRESETS.get(preset.name)
        is_other_family = registered is not None and registered.config.name != config.name
        if is_other_family or preset.name in MODELS:
            raise ValueError(f"preset {preset.name!r} of {config.name!r} has the name of another model")
    if config.name in PRESETS:
        raise ValueError(f"model {config.name!r} has the name of a preset of {PRESETS[config.name].config.name!r}")
    MODELS.register(config.name, config, build, is_listed=is_listed)
    PRESETS.update({preset.name: preset for preset in presets})


def choose_model(value: Any, task: str = "") -> ModelConfig:
    """A model's configuration.

    ``{"name": "resnet", "preset": "resnet56", "dropout": 0.1}``: these fields override the preset's, and the preset's
    override the family's defaults. ``name`` may also be a preset's name.

    Args:
        value: a configuration, a family's or preset's name, or a mapping of ``name`` and fields.
        task: chooses the family's default model for this task, if no preset is named.

    Raises:
        UserError: unknown name, preset or field, or a preset of another family.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not {"name", "preset"} & set(value):
        return _checked(value)
    fields = {key: item for key, item in value.items() if key not in ("name", "preset")}
    name = value.get("name")
    preset_name = value.get("preset")
    if isinstance(name, str) and name in PRESETS:
        preset_name = preset_name or name
        name = PRESETS[name].config.name
    if preset_name is None:
        defaults = _family(name).task_fields.get(task, {})
        return _checked({"name": name, **defaults, **fields})
    preset = _preset(preset_name)
    if name not in (None, preset.config.name):
        raise UserError(
            f"model.preset={preset.name!r} belongs to {preset.config.name!r}, but model.name={name!r};"
            " pass one of them, not both"
        )
    return _checked({"name": preset.config.name, "preset": preset.name, **preset.fields, **fields})


def _checked(value: Any) -> ModelConfig:
    config: ModelConfig = choose(MODELS, value)
    return config


def _preset(name: Any) -> Preset:
    name = convert(name, str, "model.preset")
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}, expected one of {', '.join(PRESETS)}.{nearest(name, PRESETS)}")
    return PRESETS[name]


def _family(name: Any) -> type[ModelConfig]:
    name = convert(name, str, "model.name")
    if name not in MODELS:
        if ":" in name:
            advice = " MODULE:NAME is for the option --model; elsewhere give NAME, and --plugin MODULE."
        else:
            advice = nearest(name, [*MODELS, *PRESETS])
        raise UserError(
            f"unknown model {name!r}, expected one of {', '.join(MODELS)}, or a preset that `tfdl models` lists."
            f"{advice}"
        )
    return MODELS[name]


register_model(CNNConfig, "tfdl.models.cnn:build")
register_model(KerasModelConfig, "tfdl.models.keras_model:build", is_listed=False)
register_model(ResNetConfig, "tfdl.models.resnet:build", RESNET_PRESETS)
register_model(RNNConfig, "tfdl.models.rnn:build", RNN_PRESETS)
register_model(TransformerConfig, "tfdl.models.transformer:build", TRANSFORMER_PRESETS)
