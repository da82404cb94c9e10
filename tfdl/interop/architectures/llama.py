"""The Llama architecture: Llama, SmolLM2, TinyLlama (Touvron et al., 2023), Mistral and Qwen2."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config import TransformerConfig
from tfdl.interop.architectures.base import Architecture, Description, Rule, first_difference, rules_of_blocks
from tfdl.interop.layouts import KERNEL, Columns
from tfdl.interop.settings import Settings

_SCALINGS = {"default": "none", "linear": "linear", "llama3": "llama3", "yarn": "yarn"}
# Where a file names none.
_POSITIONS = 2048
_MISTRAL_WINDOW = 4096


def _read(settings: Settings, *, query_key_value_bias: bool = False) -> Description:
    settings.require("hidden_act", "silu", "silu")
    settings.require("attention_bias", False, False)
    settings.require("mlp_bias", False, False)
    settings.require("rope_interleaved", False, False)
    hidden_dim = settings.size("hidden_size")
    num_heads = settings.size("num_attention_heads")
    head_dim = settings.size("head_dim", None)
    config = TransformerConfig(
        num_layers=settings.layers("num_hidden_layers"),
        hidden_dim=hidden_dim,
        num_heads=num_heads,
        num_key_value_heads=settings.size("num_key_value_heads", num_heads),
        head_dim=None if head_dim == hidden_dim / num_heads else head_dim,
        intermediate_dim=settings.size("intermediate_size"),
        sequence_length=settings.positions("max_position_embeddings", _POSITIONS),
        activation="swiglu",
        normalization="rms",
        positions="rotary",
        use_bias=False,
        query_key_value_bias=query_key_value_bias,
        attention_dropout=settings.number("attention_dropout", 0.0),
        epsilon=settings.number("rms_norm_eps", 1e-6),
        tie_embeddings=settings.flag("tie_word_embeddings", False),
        **_read_rotary(settings),
    )
    return Description(config, {"vocab_size": settings.size("vocab_size")})


def _read_rotary(settings: Settings) -> dict[str, Any]:
    """The fields of rotary positions, which files have in ``rope_parameters``, or in older ones in ``rope_scaling``."""
    settings.require("partial_rotary_factor", 1.0, 1.0)
    base = settings.number("rope_theta", 10000.0)
    scaling = settings.section("rope_parameters" if settings.raw("rope_parameters") else "rope_scaling")
    scaling.require("partial_rotary_factor", 1.0, 1.0)
    key = "rope_type" if scaling.raw("rope_type") is not None else "type"
    kind = scaling.choice(key, _SCALINGS, "default")
    fields = {"rotary_base": scaling.number("rope_theta", base), "rotary_scaling": kind}
    if kind != "none":
        fields["rotary_scaling_factor"] = scaling.number("factor")
    if kind == "llama3":
        fields["rotary_low_frequency_factor"] = scaling.number("low_freq_factor")
        fields["rotary_high_frequency_factor"] = scaling.number("high_freq_factor")
        fields["rotary_original_length"] = scaling.positions("original_max_position_embeddings")
    if kind == "yarn":
        positions = settings.positions("max_position_embeddings", _POSITIONS)
        fields["rotary_original_length"] = scaling.positions("original_max_position_embeddings", positions)
        scaling.require("beta_fast", 32, 32, 32.0)
        scaling.require("beta_slow", 1, 1, 1.0)
        scaling.require("truncate", True, True)
        for name in ("attention_factor", "mscale", "mscale_all_dim"):
            scaling.require(name, None, None)
    return fields


def _read_mistral(settings: Settings) -> Description:
    described = _read(settings)
    # A key that is missing and null differ: null is no window.
    window = settings.positions("sliding_window", _MISTRAL_WINDOW if settings.lacks("sliding_window") else None)
    return Description(_with(described.model, sliding_window=window), described.data)


def _read_qwen2(settings: Settings) -> Description:
    described = _read(settings, query_key_value_bias=True)
    # Qwen2 has a window in its last layers only, if at all.
    if settings.flag("use_sliding_window", False):
        settings.require("max_window_layers", 28, settings.layers("num_hidden_layers"))
    return described


def _with(config: Any, **changes: Any) -> TransformerConfig:
    changed: TransformerConfig = dataclasses.replace(config, **changes)
    return changed


def _write(config: TransformerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    rotary: dict[str, Any] = {"rope_theta": config.rotary_base, "rope_type": "default"}
    if config.rotary_scaling != "none":
        rotary |= {"rope_type": config.rotary_scaling, "factor": config.rotary_scaling_factor}
    if config.rotary_scaling == "llama3":
        rotary |= {
            "low_freq_factor": config.rotary_low_frequency_factor,
            "high_freq_factor": config.rotary_high_frequency_factor,
        }
    if config.rotary_scaling in ("llama3", "yarn"):
        rotary["original_max_position_embeddings"] = config.rotary_original_length
    scaling = {key: value for key, value in rotary.items() if key != "rope_theta"}
    return {
        "vocab_size": data["vocab_size"],
        "hidden_size": config.hidden_dim,
        "intermediate_size": config.intermediate_dim or 4 * config.hidden_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_key_value_heads or config.num_heads,
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": config.sequence_length,
        "rms_norm_eps": config.epsilon,
        "rope_parameters": rotary,
        # For versions of transformers before 5.
        "rope_theta": config.rotary_base,
        "rope_scaling": scaling if config.rotary_scaling != "none" else None,
        "attention_dropout": config.attention_dropout,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _write_mistral(config: TransformerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    return {**_write(config, data), "sliding_window": config.sliding_window}


def _rules(config: TransformerConfig) -> Iterable[Rule]:
    query_width = config.num_heads * config.head_width
    key_width = (config.num_key_value_heads or config.num_heads) * config.head_width
    heads = Columns(query_width, key_width, key_width)
    width = config.intermediate_dim or 4 * config.hidden_dim
    block: dict[str, Any] = {
        "attention_norm/gamma": "input_layernorm.weight",
        "attention/query_key_value/kernel": (tuple(f"self_attn.{part}_proj.weight" for part in "qkv"), heads),
        "attention/output/kernel": ("self_attn.o_proj.weight", KERNEL),
        "feed_forward_norm/gamma": "post_attention_layernorm.weight",
        "feed_forward/up/kernel": (("mlp.gate_proj.weight", "mlp.up_proj.weight"), Columns(width, width)),
        "feed_forward/down/kernel": ("mlp.down_proj.weight", KERNEL),
    }
    if config.query_key_value_bias:
        block["attention/query_key_value/bias"] = (tuple(f"self_attn.{part}_proj.bias" for part in "qkv"), heads)
    yield Rule("token_embedding/table", ("model.embed_tokens.weight",))
    yield from rules_of_blocks(config.num_layers, "block_{}", "model.layers.{}.", block)
    yield Rule("final_norm/gamma", ("model.norm.weight",))
    if not config.tie_embeddings:
        yield Rule("logits/kernel", ("lm_head.weight",), KERNEL)


def _misfit(config: Any, *, query_key_value_bias: bool = False, has_window: bool = False) -> str:
    if not isinstance(config, TransformerConfig):
        return f"model.name={config.name}"
    return first_difference(
        config,
        architecture="decoder",
        positions="rotary",
        normalization="rms",
        norm_first=True,
        activation="swiglu",
        scale_embeddings=False,
        use_bias=False,
        query_key_value_bias=True if query_key_value_bias else (None, False),
        sliding_window=config.sliding_window if has_window else None,
    )


_SHARED: dict[str, Any] = {
    "task": "language-modeling",
    "rules": _rules,
    "prefix": "model.",
    "ignored": (r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", r"lm_head\.weight"),
}

LLAMA = Architecture("llama", ("LlamaForCausalLM",), read=_read, write=_write, misfit=_misfit, **_SHARED)
MISTRAL = Architecture(
    "mistral",
    ("MistralForCausalLM",),
    read=_read_mistral,
    write=_write_mistral,
    misfit=lambda config: _misfit(config, has_window=True),
    **_SHARED,
)
QWEN2 = Architecture(
    "qwen2",
    ("Qwen2ForCausalLM",),
    read=_read_qwen2,
    write=_write,
    misfit=lambda config: _misfit(config, query_key_value_bias=True),
    **_SHARED,
)
