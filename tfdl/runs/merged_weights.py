"""The weights of a checkpoint, with its updates of low rank added to the kernels that they belong to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.config import ModelConfig
from tfdl.models.low_rank import FIRST, SECOND, is_low_rank, update_scale
from tfdl.runs.checkpoint_content import WEIGHTS
from tfdl.runs.stored_tensors import open_tensors
from tfdl.runs.variables import read_some_variables, shapes_of_variables


def merged_shapes(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the variables in a verified checkpoint, without updates of low rank.

    Args:
        checkpoint: its folder.
    """
    return {name: shape for name, shape in shapes_of_variables(checkpoint / WEIGHTS).items() if not is_low_rank(name)}


def read_merged(checkpoint: Path, config: ModelConfig, variables: Mapping[str, Any]) -> None:
    """Assigns the weights of a verified checkpoint, with its updates added to the kernels that they belong to.

    Args:
        checkpoint: its folder.
        config: of the checkpoint's model.
        variables: name in the checkpoint -> variable.
    """
    path = checkpoint / WEIGHTS
    read_some_variables(path, variables)
    scale = update_scale(config)
    if scale is None:
        return
    with open_tensors(path) as tensors:
        stored = set(tensors.names)
        for name, variable in variables.items():
            layer, _, own_name = name.rpartition("/")
            if own_name != "kernel" or f"{layer}/{FIRST}" not in stored:
                continue
            # In float64: the sum is rounded once.
            first = tensors.read(f"{layer}/{FIRST}").astype(np.float64)
            second = tensors.read(f"{layer}/{SECOND}").astype(np.float64)
            variable.assign(np.asarray(variable) + scale * (first @ second))
