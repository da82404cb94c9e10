"""ViT, a Transformer of image patches (Dosovitskiy et al., 2020)."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config import TransformerConfig
from tfdl.errors import UserError
from tfdl.interop.architectures.base import Architecture, Description, Rule, first_difference, inverse, rules_of_blocks
from tfdl.interop.architectures.encoder_block import ACTIVATIONS, encoder_block
from tfdl.interop.labels import read_class_names, write_class_names
from tfdl.interop.layouts import KERNEL, Patches, WithAxes
from tfdl.interop.settings import Settings


def _read(settings: Settings) -> Description:
    hidden_dim = settings.size("hidden_size")
    side = settings.size("image_size", 224)
    channels = settings.size("num_channels", 3)
    config = TransformerConfig(
        architecture="encoder",
        num_layers=settings.layers("num_hidden_layers"),
        num_heads=settings.size("num_attention_heads"),
        hidden_dim=hidden_dim,
        intermediate_dim=settings.size("intermediate_size", 4 * hidden_dim),
        patch_size=settings.size("patch_size", 16),
        pooling="first",
        activation=settings.choice("hidden_act", ACTIVATIONS, "gelu"),
        query_key_value_bias=settings.flag("qkv_bias", True),
        epsilon=settings.number("layer_norm_eps", 1e-12),
        dropout=settings.number("hidden_dropout_prob", 0.0),
        attention_dropout=settings.number("attention_probs_dropout_prob", 0.0),
    )
    return Description(config, {"input_shape": (side, side, channels), "class_names": read_class_names(settings)})


def _write(config: TransformerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    activations = inverse(ACTIVATIONS)
    height, width, channels = data["input_shape"]
    if height != width:
        raise UserError(f"images of {height}x{width}, expected as many rows as columns for Hugging Face's vit")
    return {
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.intermediate_dim or 4 * config.hidden_dim,
        "image_size": height,
        "num_channels": channels,
        "patch_size": config.patch_size,
        "hidden_act": activations[config.activation],
        "qkv_bias": config.query_key_value_bias is not False,
        "layer_norm_eps": config.epsilon,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        **write_class_names(data["class_names"]),
    }


def _rules(config: TransformerConfig) -> Iterable[Rule]:
    assert config.patch_size is not None
    embeddings = "vit.embeddings."
    projection = f"{embeddings}patch_embeddings.projection"
    block = encoder_block(
        config,
        attention="attention.attention.",
        attention_norm="layernorm_before",
        feed_forward_norm="layernorm_after",
    )
    yield Rule("patch_embedding/projection/kernel", (f"{projection}.weight",), Patches(config.patch_size))
    yield Rule("patch_embedding/projection/bias", (f"{projection}.bias",))
    yield Rule("class_token/token", (f"{embeddings}cls_token",), WithAxes(2))
    yield Rule("position_embedding/table", (f"{embeddings}position_embeddings",), WithAxes(1))
    yield from rules_of_blocks(config.num_layers, "block_{}", "vit.encoder.layer.{}.", block)
    yield Rule("final_norm/gamma", ("vit.layernorm.weight",))
    yield Rule("final_norm/beta", ("vit.layernorm.bias",))
    yield Rule("logits/kernel", ("classifier.weight",), KERNEL)
    yield Rule("logits/bias", ("classifier.bias",))


def _misfit(config: Any) -> str:
    if not isinstance(config, TransformerConfig):
        return f"model.name={config.name}"
    if config.patch_size is None:
        return "model.patch_size=None"
    return first_difference(
        config,
        architecture="encoder",
        positions="learned",
        normalization="layer",
        norm_first=True,
        activation=tuple(ACTIVATIONS.values()),
        num_key_value_heads=(None, config.num_heads),
        head_dim=(None, config.hidden_dim // config.num_heads),
        pooling="first",
        use_bias=True,
    )


VIT = Architecture(
    model_type="vit",
    classes=("ViTForImageClassification",),
    task="image-classification",
    read=_read,
    write=_write,
    rules=_rules,
    misfit=_misfit,
    headless=("ViTModel",),
    head=("logits/",),
    prefix="vit.",
    ignored=(r"vit\.pooler\..*",),
)
