"""Updates of low rank beside the kernels of a pretrained model (LoRA)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tfdl.config import ModelConfig
from tfdl.layers import Dense

_HEAD = "logits"
FIRST = "lora_kernel_a"
"""How Keras names $A$."""
SECOND = "lora_kernel_b"
"""How Keras names $B$."""


def add_low_rank_updates(model: Any, rank: int | None, alpha: float | None) -> None:
    r"""Adds $A B$ beside the kernel of every dense layer except the head (Hu et al., 2021,
    https://arxiv.org/abs/2106.09685).

    $A$ starts with random numbers and $B$ with zeros, so the model's answers stay as they are.

    Args:
        model: a built model.
        rank: of the updates, or None for none.
        alpha: the updates are scaled by ``alpha / rank``; by default ``rank``.
    """
    if rank is None:
        return
    for layer in _dense_layers(model):
        layer.enable_lora(rank, lora_alpha=alpha)


def is_low_rank(path: str) -> bool:
    """Whether a variable is part of an update.

    Args:
        path: of the variable.
    """
    return path.rsplit("/", 1)[-1] in (FIRST, SECOND)


def update_scale(config: ModelConfig) -> float | None:
    """What the product of the two kernels is multiplied by; None for a model without updates.

    Args:
        config: of the model.
    """
    rank: int | None = getattr(config, "lora_rank", None)
    if rank is None:
        return None
    alpha: float | None = getattr(config, "lora_alpha", None)
    return 1.0 if alpha is None else alpha / rank


def without_updates(config: ModelConfig) -> ModelConfig:
    """The configuration of the same model without updates.

    Args:
        config: of a model with updates.
    """
    return replace(config, lora_rank=None, lora_alpha=None)  # type: ignore[call-arg]


def _dense_layers(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if isinstance(layer, Dense) and layer.name != _HEAD:
            yield layer
