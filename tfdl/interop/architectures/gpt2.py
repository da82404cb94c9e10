"""GPT-2 (Radford et al., 2019)."""

from collections.abc import Iterable, Mapping
from typing import Any

from tfdl.config import TransformerConfig
from tfdl.interop.architectures.base import Architecture, Description, Rule, first_difference, inverse, rules_of_blocks
from tfdl.interop.layouts import KERNEL
from tfdl.interop.settings import Settings

_ACTIVATIONS = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_exact", "relu": "relu"}
# The layer of GPT-2 that Hugging Face calls Conv1D has the layout of a Keras kernel.
_BLOCK = {
    "attention_norm/gamma": "ln_1.weight",
    "attention_norm/beta": "ln_1.bias",
    "attention/query_key_value/kernel": "attn.c_attn.weight",
    "attention/query_key_value/bias": "attn.c_attn.bias",
    "attention/output/kernel": "attn.c_proj.weight",
    "attention/output/bias": "attn.c_proj.bias",
    "feed_forward_norm/gamma": "ln_2.weight",
    "feed_forward_norm/beta": "ln_2.bias",
    "feed_forward/up/kernel": "mlp.c_fc.weight",
    "feed_forward/up/bias": "mlp.c_fc.bias",
    "feed_forward/down/kernel": "mlp.c_proj.weight",
    "feed_forward/down/bias": "mlp.c_proj.bias",
}


def _read(settings: Settings) -> Description:
    settings.require("scale_attn_weights", True, True)
    settings.require("scale_attn_by_inverse_layer_idx", False, False)
    settings.require("add_cross_attention", False, False)
    hidden_dim = settings.size("n_embd")
    config = TransformerConfig(
        num_layers=settings.layers("n_layer"),
        num_heads=settings.size("n_head"),
        hidden_dim=hidden_dim,
        intermediate_dim=settings.size("n_inner", 4 * hidden_dim),
        sequence_length=settings.size("n_positions"),
        activation=settings.choice("activation_function", _ACTIVATIONS, "gelu_new"),
        epsilon=settings.number("layer_norm_epsilon", 1e-5),
        dropout=settings.number("resid_pdrop", 0.1),
        attention_dropout=settings.number("attn_pdrop", 0.1),
        tie_embeddings=settings.flag("tie_word_embeddings", True),
    )
    return Description(config, {"vocab_size": settings.size("vocab_size")})


def _write(config: TransformerConfig, data: Mapping[str, Any]) -> dict[str, Any]:
    activations = inverse(_ACTIVATIONS)
    return {
        "vocab_size": data["vocab_size"],
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_embd": config.hidden_dim,
        "n_inner": config.intermediate_dim or 4 * config.hidden_dim,
        "n_positions": config.sequence_length,
        "activation_function": activations[config.activation],
        "layer_norm_epsilon": config.epsilon,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _rules(config: TransformerConfig) -> Iterable[Rule]:
    yield Rule("token_embedding/table", ("transformer.wte.weight",))
    yield Rule("position_embedding/table", ("transformer.wpe.weight",))
    yield from rules_of_blocks(config.num_layers, "block_{}", "transformer.h.{}.", _BLOCK)
    yield Rule("final_norm/gamma", ("transformer.ln_f.weight",))
    yield Rule("final_norm/beta", ("transformer.ln_f.bias",))
    if not config.tie_embeddings:
        yield Rule("logits/kernel", ("lm_head.weight",), KERNEL)


def _misfit(config: Any) -> str:
    if not isinstance(config, TransformerConfig):
        return f"model.name={config.name}"
    return first_difference(
        config,
        architecture="decoder",
        positions="learned",
        normalization="layer",
        norm_first=True,
        activation=tuple(_ACTIVATIONS.values()),
        num_key_value_heads=(None, config.num_heads),
        head_dim=(None, config.hidden_dim // config.num_heads),
        scale_embeddings=False,
        use_bias=True,
        query_key_value_bias=(None, True),
        sliding_window=None,
    )


GPT2 = Architecture(
    model_type="gpt2",
    classes=("GPT2LMHeadModel",),
    task="language-modeling",
    read=_read,
    write=_write,
    rules=_rules,
    misfit=_misfit,
    prefix="transformer.",
    # Masks that old files contain; a tied head, which some files hold twice.
    ignored=(r"transformer\.h\.\d+\.attn\.(masked_)?bias", r"lm_head\.weight"),
)
