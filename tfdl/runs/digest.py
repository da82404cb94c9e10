"""A model's weights as one number."""

import hashlib
from typing import Any

import numpy as np


def weights_sha256(model: Any) -> str:
    """SHA-256 over the variables in ``model.weights`` order: path, dtype, shape and bytes of each."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.asarray(variable, order="C")
        digest.update(f"{variable.path}\n{value.dtype.name}\n{list(value.shape)}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
