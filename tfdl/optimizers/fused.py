"""TensorFlow's fused update kernels take resource handles; Keras hands out variables of two kinds."""

from typing import Any

import keras


def handle_of(variable: Any) -> Any:
    """The resource handle behind a Keras variable or a ``tf.Variable``."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
