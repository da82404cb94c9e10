"""Every model family and preset by name."""

from collections.abc import Mapping
from typing import Any

from tfdl.config.choice import choose
from tfdl.config.fields import convert
from tfdl.config.models.base import ModelConfig, Preset
from tfdl.config.models.cnn import CNNConfig
from tfdl.config.models.resnet import RESNET_PRESETS, ResNetConfig
from tfdl.config.models.rnn import RNN_PRESETS, RNNConfig
from tfdl.config.models.transformer import TRANSFORMER_PRESETS, TransformerConfig
from tfdl.errors import UserError, nearest

MODEL_CONFIGS: dict[str, type[ModelConfig]] = {
    config.name: config for config in (CNNConfig, ResNetConfig, RNNConfig, TransformerConfig)
}
# A family's presets stand beside its configuration.
_FAMILY_PRESETS: tuple[tuple[Preset, ...], ...] = (RESNET_PRESETS, RNN_PRESETS, TRANSFORMER_PRESETS)
PRESETS: dict[str, Preset] = {preset.name: preset for presets in _FAMILY_PRESETS for preset in presets}


def choose_model(value: Any, task: str = "") -> ModelConfig:
    """A configuration from itself, from a family's or preset's name, or from a mapping with ``name`` and fields.

    A family's defaults are those for ``task``, where one is given that asks for other ones (a Transformer's
    architecture); a preset is as it is.

    ``{"name": "resnet", "preset": "resnet56", "dropout": 0.1}``: fields win over the preset's, the preset's over the
    family's defaults. A preset's name alone also serves as the name.

    Raises:
        UserError: unknown name, preset or field, or a preset of another family.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not {"name", "preset"} & set(value):
        return choose("model", MODEL_CONFIGS, value)
    fields = {key: item for key, item in value.items() if key not in ("name", "preset")}
    name, preset = value.get("name"), value.get("preset")
    if isinstance(name, str) and name in PRESETS:
        preset, name = preset or name, PRESETS[name].config.name
    if preset is None:
        defaults = _family(name).task_fields.get(task, {})
        return choose("model", MODEL_CONFIGS, {"name": name, **defaults, **fields})
    found = _preset(preset)
    if name not in (None, found.config.name):
        raise UserError(
            f"model.preset={found.name!r} belongs to {found.config.name!r}, but model.name={name!r};"
            " leave one of the two out"
        )
    return choose("model", MODEL_CONFIGS, {"name": found.config.name, "preset": found.name, **found.fields, **fields})


def _preset(name: Any) -> Preset:
    name = convert(name, str, "model.preset")
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}, expected one of {', '.join(PRESETS)}.{nearest(name, PRESETS)}")
    return PRESETS[name]


def _family(name: Any) -> type[ModelConfig]:
    name = convert(name, str, "model.name")
    if name not in MODEL_CONFIGS:
        raise UserError(
            f"unknown model {name!r}, expected one of {', '.join(MODEL_CONFIGS)}, or a preset that `tfdl models` lists."
            f"{nearest(name, [*MODEL_CONFIGS, *PRESETS])}"
        )
    return MODEL_CONFIGS[name]
