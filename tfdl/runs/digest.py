"""One digest for all weights of a model, to compare runs."""

import hashlib
from typing import Any

import numpy as np


def weights_sha256(model: Any) -> str:
    """Returns the SHA-256 over the variables in the order of ``model.weights``.

    For each variable the digest contains ``path\\ndtype\\nshape\\n`` and then the bytes of the array in C order.
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        array = np.asarray(variable, order="C")
        digest.update(f"{variable.path}\n{array.dtype.name}\n{list(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)  # not a copy, as tobytes() is
    return digest.hexdigest()
