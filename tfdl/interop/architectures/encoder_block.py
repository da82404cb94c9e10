"""The blocks of BERT and ViT, whose tensors have nearly the same names."""

from typing import Any

from tfdl.config import TransformerConfig
from tfdl.interop.layouts import KERNEL, Columns

ACTIVATIONS = {"gelu": "gelu_exact", "gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu"}
"""Hugging Face's name -> tfdl's."""


def encoder_block(
    config: TransformerConfig, *, attention: str, attention_norm: str, feed_forward_norm: str
) -> dict[str, Any]:
    """The table of a block, for ``rules_of_blocks``.

    Args:
        config: of the model.
        attention: the beginning of the names of queries, keys and values.
        attention_norm, feed_forward_norm: the names of the normalizations.
    """
    width = config.num_heads * config.head_width
    heads = Columns(width, width, width)
    parts = ("query", "key", "value")
    table: dict[str, Any] = {
        "attention_norm/gamma": f"{attention_norm}.weight",
        "attention_norm/beta": f"{attention_norm}.bias",
        "attention/query_key_value/kernel": (tuple(f"{attention}{part}.weight" for part in parts), heads),
        "attention/output/kernel": ("attention.output.dense.weight", KERNEL),
        "attention/output/bias": "attention.output.dense.bias",
        "feed_forward_norm/gamma": f"{feed_forward_norm}.weight",
        "feed_forward_norm/beta": f"{feed_forward_norm}.bias",
        "feed_forward/up/kernel": ("intermediate.dense.weight", KERNEL),
        "feed_forward/up/bias": "intermediate.dense.bias",
        "feed_forward/down/kernel": ("output.dense.weight", KERNEL),
        "feed_forward/down/bias": "output.dense.bias",
    }
    if config.query_key_value_bias is not False:
        table["attention/query_key_value/bias"] = (tuple(f"{attention}{part}.bias" for part in parts), heads)
    return table
