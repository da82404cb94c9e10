"""Updates of low rank beside the kernels of a pretrained model (LoRA)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

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


def merged_values(model: Any) -> dict[str, np.ndarray]:
    """The values of a model's variables, by path, with every update added to its kernel.

    Args:
        model: a model with updates.
    """
    values = {variable.path: np.asarray(variable) for variable in model.weights if not is_low_rank(variable.path)}
    for layer in _dense_layers(model):
        if layer.lora_enabled:
            # In float64: the sum is rounded once.
            first = np.asarray(layer.lora_kernel_a, np.float64)
            second = np.asarray(layer.lora_kernel_b, np.float64)
            path = layer._kernel.path
            update = layer.lora_alpha / layer.lora_rank * (first @ second)
            values[path] = (values[path] + update).astype(values[path].dtype)
    return values


def _dense_layers(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if isinstance(layer, Dense) and layer.name != _HEAD:
            yield layer
