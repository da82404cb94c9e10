"""Models that are too large for a format's file."""

import math
from typing import Any

from tfdl.errors import UserError

# Protocol buffers and flatbuffers, which the files are, hold no more; the rest of a file needs little.
_MOST_BYTES = 2**31 - 2**24


def check_size(model: Any, what: str) -> None:
    """Checks that a file of 2 GiB holds a model's weights, before anything is converted.

    Args:
        model: in float32.
        what: the file in messages, such as ``"an ONNX file"``.

    Raises:
        UserError: the model has more weights.
    """
    size = sum(4 * math.prod(variable.shape) for variable in model.variables)
    if size > _MOST_BYTES:
        raise UserError(
            f"the model has {size / 2**30:.1f} GiB of weights, but {what} holds at most 2 GiB; export it as saved_model"
            " or huggingface"
        )
