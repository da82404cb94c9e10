"""One digest for all weights of a model, to compare runs."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def weights_sha256(model: Any) -> str:
    """Returns the SHA-256 over the variables in the order of ``model.weights``.

    For each variable the digest contains ``path\\ndtype\\nshape\\n`` and then the bytes of the array in C order.
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        _add(digest, variable.path, variable)
    return digest.hexdigest()


def sha256_of_variables(variables: Mapping[str, Any]) -> str:
    """Returns the same SHA-256 over some variables.

    Args:
        variables: name -> variable or array, in order.
    """
    digest = hashlib.sha256()
    for name, variable in variables.items():
        _add(digest, name, variable)
    return digest.hexdigest()


def _add(digest: Any, name: str, variable: Any) -> None:
    array = np.asarray(variable, order="C")
    digest.update(f"{name}\n{array.dtype.name}\n{list(array.shape)}\n".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)  # not a copy, as tobytes() is
