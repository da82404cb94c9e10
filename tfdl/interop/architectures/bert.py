"""BERT as a classifier of texts (Devlin et al., 2018)."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config import TransformerConfig
from tfdl.interop.architectures.base import (
    Architecture,
    Description,
    Rule,
    first_difference,
    inverse,
    rules_of_blocks,
    zeros,
)
from tfdl.interop.architectures.encoder_block import ACTIVATIONS, encoder_block
from tfdl.interop.labels import read_class_names, write_class_names
from tfdl.interop.layouts import KERNEL
from tfdl.interop.settings import Settings
from tfdl.runs.safetensors_file import Entry


def _read(settings: Settings) -> Description:
    settings.require("position_embedding_type", "absolute", "absolute")
    settings.require("is_decoder", False, False)
    settings.require("pad_token_id", 0, 0)
    hidden_dim = settings.size("hidden_size")
    config = TransformerConfig(
        architecture="encoder",
        num_layers=settings.layers("num_hidden_layers"),
        num_heads=settings.size("num_attention_heads"),
        hidden_dim=hidden_dim,
        intermediate_dim=settings.size("intermediate_size", 4 * hidden_dim),
        sequence_length=settings.size("max_position_embeddings"),
        activation=settings.choice("hidden_act", ACTIVATIONS, "gelu"),
        norm_first=False,
        pooling="first",
        epsilon=settings.number("layer_norm_eps", 1e-12),
        dropout=settings.number("hidden_dropout_prob", 0.1),
        attention_dropout=settings.number("attention_probs_dropout_prob", 0.1),
        num_segments=settings.size("type_vocab_size", 2),
    )
    return Description(config, {"vocab_size": settings.size("vocab_size"), "class_names": read_class_names(settings)})


def _write(config: TransformerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    activations = inverse(ACTIVATIONS)
    return {
        "vocab_size": data["vocab_size"],
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.intermediate_dim or 4 * config.hidden_dim,
        "max_position_embeddings": config.sequence_length,
        "hidden_act": activations[config.activation],
        "layer_norm_eps": config.epsilon,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "type_vocab_size": config.num_segments or 1,
        "pad_token_id": 0,
        **write_class_names(data["class_names"]),
    }


def _rules(config: TransformerConfig) -> Iterable[Rule]:
    embeddings = "bert.embeddings."
    block = encoder_block(
        config,
        attention="attention.self.",
        attention_norm="attention.output.LayerNorm",
        feed_forward_norm="output.LayerNorm",
    )
    yield Rule("token_embedding/table", (f"{embeddings}word_embeddings.weight",))
    if config.num_segments:
        yield Rule("segment_embedding/table", (f"{embeddings}token_type_embeddings.weight",))
    yield Rule("position_embedding/table", (f"{embeddings}position_embeddings.weight",))
    yield Rule("embedding_norm/gamma", (f"{embeddings}LayerNorm.weight",))
    yield Rule("embedding_norm/beta", (f"{embeddings}LayerNorm.bias",))
    yield from rules_of_blocks(config.num_layers, "block_{}", "bert.encoder.layer.{}.", block)
    yield Rule("pooler/kernel", ("bert.pooler.dense.weight",), KERNEL)
    yield Rule("pooler/bias", ("bert.pooler.dense.bias",))
    yield Rule("logits/kernel", ("classifier.weight",), KERNEL)
    yield Rule("logits/bias", ("classifier.bias",))


def _extras(config: TransformerConfig) -> Iterable[Entry]:
    """One segment without effect, for a model without segments."""
    if config.num_segments == 0:
        yield zeros("bert.embeddings.token_type_embeddings.weight", (1, config.hidden_dim))


def _misfit(config: Any) -> str:
    if not isinstance(config, TransformerConfig):
        return f"model.name={config.name}"
    return first_difference(
        config,
        architecture="encoder",
        patch_size=None,
        positions="learned",
        normalization="layer",
        norm_first=False,
        activation=tuple(ACTIVATIONS.values()),
        num_key_value_heads=(None, config.num_heads),
        head_dim=(None, config.hidden_dim // config.num_heads),
        pooling="first",
        scale_embeddings=False,
        use_bias=True,
        query_key_value_bias=(None, True),
    )


BERT = Architecture(
    model_type="bert",
    classes=("BertForSequenceClassification",),
    task="text-classification",
    read=_read,
    write=_write,
    rules=_rules,
    misfit=_misfit,
    extras=_extras,
    headless=("BertModel", "BertForMaskedLM", "BertForPreTraining"),
    head=("pooler/", "logits/"),
    prefix="bert.",
    # As TensorFlow's first files named them.
    renamed={".gamma": ".weight", ".beta": ".bias"},
    # Also the heads of masked language models.
    ignored=(r"bert\.embeddings\.position_ids", r"cls\..*"),
)
