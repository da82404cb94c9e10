"""Models whose training diverged."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import UserError

_SHOWN = 3


def check_finite_weights(model: Any) -> None:
    """Checks that all weights are finite: a model with others answers with NaN, whatever it is exported as.

    Args:
        model: a built ``keras.Model``.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    paths = [variable.path for variable in model.weights if not _is_finite(variable)]
    if not paths:
        return
    shown = ", ".join(paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    raise UserError(
        f"the model has weights that are NaN or infinite ({shown}{more}), so its training diverged; export an earlier"
        " --checkpoint, or train again with a lower learning rate"
    )


def _is_finite(variable: Any) -> bool:
    if not tf.as_dtype(variable.dtype).is_floating:
        return True
    return bool(np.isfinite(np.asarray(variable)).all())
