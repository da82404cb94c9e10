"""Residual networks (He et al., 2015), with the names of transformers and with those of torchvision and timm."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfdl.config import PRESETS, ResNetConfig, choose_model
from tfdl.interop.architectures.base import Architecture, Description, Rule, first_difference, zeros
from tfdl.interop.labels import distinct, read_class_names, write_class_names
from tfdl.interop.layouts import CONVOLUTION, KERNEL
from tfdl.interop.settings import Settings
from tfdl.runs.safetensors_file import Entry

_EXPANSION = {"basic": 1, "bottleneck": 4}
_SIDE = 224
# Batch normalization's variables -> tensors.
_STATISTICS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
# Networks of torchvision and timm.
_NAMED = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def _read(settings: Settings) -> Description:
    settings.require("hidden_act", "relu", "relu")
    settings.require("downsample_in_first_stage", False, False)
    block = settings.choice("layer_type", {"basic": "basic", "bottleneck": "bottleneck"}, "bottleneck")
    if block == "bottleneck":
        settings.require("downsample_in_bottleneck", False, False)
    depths = _sizes(settings, "depths")
    widths = _sizes(settings, "hidden_sizes")
    filters = tuple(width // _EXPANSION[block] for width in widths)
    if len(depths) != len(widths) or any(width % _EXPANSION[block] for width in widths):
        raise settings.wrong("hidden_sizes", widths, f"one width for each of depths={list(depths)}")
    settings.require("embedding_size", 64, filters[0])
    config = ResNetConfig(stem="7x7", block=block, blocks=depths, filters=filters, shortcut="projection")
    shape = (_SIDE, _SIDE, settings.size("num_channels", 3))
    return Description(config, {"input_shape": shape, "class_names": read_class_names(settings)})


def _sizes(settings: Settings, name: str) -> tuple[int, ...]:
    values = settings.raw(name)
    fits = isinstance(values, list) and values and all(type(value) is int and 0 < value < 10_000 for value in values)
    if not fits or len(values) > 10:
        raise settings.wrong(name, values, "a list of at most 10 numbers below 10,000")
    return tuple(values)


def _write(config: ResNetConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    expansion = _EXPANSION[config.block]
    _, _, channels = data["input_shape"]
    return {
        "num_channels": channels,
        "embedding_size": config.filters[0],
        "hidden_sizes": [expansion * filters for filters in config.filters],
        "depths": list(config.blocks),
        "layer_type": config.block,
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": False,
        **write_class_names(data["class_names"]),
    }


def _misfit(config: Any) -> str:
    if not isinstance(config, ResNetConfig):
        return f"model.name={config.name}"
    return first_difference(config, stem="7x7", shortcut="projection", epsilon=1e-5)


def _pair(convolution: str, normalization: str, theirs_convolution: str, theirs_normalization: str) -> Iterator[Rule]:
    """A convolution and its batch normalization."""
    yield Rule(f"{convolution}/kernel", (f"{theirs_convolution}.weight",), CONVOLUTION)
    for variable, tensor in _STATISTICS.items():
        yield Rule(f"{normalization}/{variable}", (f"{theirs_normalization}.{tensor}",))


def _blocks(config: ResNetConfig) -> Iterator[tuple[int, int, bool]]:
    """Stage and block, both from 0 on, and whether the block's shortcut is a projection."""
    for stage, count in enumerate(config.blocks):
        for block in range(count):
            is_widened = config.block == "bottleneck" or config.filters[stage] != config.filters[max(stage - 1, 0)]
            yield stage, block, block == 0 and (stage > 0 or is_widened)


def _rules(config: ResNetConfig) -> Iterable[Rule]:
    stem = "resnet.embedder.embedder"
    yield from _pair("stem_conv", "stem_batch_normalization", f"{stem}.convolution", f"{stem}.normalization")
    for stage, block, has_projection in _blocks(config):
        ours = f"stage_{stage + 1}_block_{block + 1}"
        theirs = f"resnet.encoder.stages.{stage}.layers.{block}"
        for number in range(2 if config.block == "basic" else 3):
            layer = f"{theirs}.layer.{number}"
            yield from _pair(
                f"{ours}_conv_{number + 1}",
                f"{ours}_batch_normalization_{number + 1}",
                f"{layer}.convolution",
                f"{layer}.normalization",
            )
        if has_projection:
            shortcut = f"{theirs}.shortcut"
            yield from _pair(
                f"{ours}_shortcut_conv",
                f"{ours}_shortcut_batch_normalization",
                f"{shortcut}.convolution",
                f"{shortcut}.normalization",
            )
    yield Rule("logits/kernel", ("classifier.1.weight",), KERNEL)
    yield Rule("logits/bias", ("classifier.1.bias",))


def _extras(config: ResNetConfig) -> Iterable[Entry]:
    """PyTorch's counts of batches, which no computation reads."""
    for rule in _rules(config):
        (name,) = rule.tensors
        if name.endswith(".running_mean"):
            yield zeros(f"{name.removesuffix('.running_mean')}.num_batches_tracked", (), "I64")


def _read_torchvision(settings: Settings) -> Description:
    name = settings.choice("architecture", {name: name for name in _NAMED}, "")
    pretrained = settings.section("pretrained_cfg")
    count = settings.size("num_classes", 1000)
    names = settings.raw("label_names") or pretrained.raw("label_names")
    if names is None:
        names = [f"LABEL_{number}" for number in range(count)]
    is_list = isinstance(names, list) and all(isinstance(label, str) for label in names)
    if not is_list or len(names) != count:
        raise settings.wrong("label_names", names, f"a name for each of num_classes={count}")
    preset = PRESETS[name]
    config = choose_model({"name": preset.config.name, "preset": name})
    shape = pretrained.raw("input_size") or [3, _SIDE, _SIDE]
    is_shape = isinstance(shape, list) and len(shape) == 3 and all(type(size) is int for size in shape)
    if not is_shape or not all(0 < size < 10_000 for size in shape):
        raise settings.wrong("input_size", shape, "channels, height and width, such as [3, 224, 224]")
    channels, height, width = shape
    return Description(config, {"input_shape": (height, width, channels), "class_names": distinct(names)})


def _rules_torchvision(config: ResNetConfig) -> Iterable[Rule]:
    yield from _pair("stem_conv", "stem_batch_normalization", "conv1", "bn1")
    for stage, block, has_projection in _blocks(config):
        ours = f"stage_{stage + 1}_block_{block + 1}"
        theirs = f"layer{stage + 1}.{block}"
        for number in range(1, 3 if config.block == "basic" else 4):
            yield from _pair(
                f"{ours}_conv_{number}",
                f"{ours}_batch_normalization_{number}",
                f"{theirs}.conv{number}",
                f"{theirs}.bn{number}",
            )
        if has_projection:
            yield from _pair(
                f"{ours}_shortcut_conv",
                f"{ours}_shortcut_batch_normalization",
                f"{theirs}.downsample.0",
                f"{theirs}.downsample.1",
            )
    yield Rule("logits/kernel", ("fc.weight",), KERNEL)
    yield Rule("logits/bias", ("fc.bias",))


RESNET = Architecture(
    model_type="resnet",
    classes=("ResNetForImageClassification",),
    task="image-classification",
    read=_read,
    write=_write,
    rules=_rules,
    misfit=_misfit,
    extras=_extras,
    prefix="resnet.",
    ignored=(r".*\.num_batches_tracked",),
)
TORCHVISION_RESNET = Architecture(
    model_type="torchvision",
    classes=(),
    task="image-classification",
    read=_read_torchvision,
    write=_write,  # never called: no model fits, since an export has the names of transformers
    rules=_rules_torchvision,
    misfit=lambda config: f"model.name={config.name}",
    ignored=(r".*\.num_batches_tracked",),
)
