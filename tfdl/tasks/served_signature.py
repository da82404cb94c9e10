"""One way in which a served model is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

DEFAULT_SIGNATURE = "serving_default"
"""What is called if a request names no signature."""


@dataclass(frozen=True)
class ServedSignature:
    """A function of a SavedModel."""

    inputs: Mapping[str, tf.TensorSpec]
    """Raw inputs by name, with a first axis of any size."""
    answer: Callable[..., dict[str, Any]]
    """``answer(model, **inputs)``: outputs by name, computed with TensorFlow operations."""
    sample: Callable[[int], dict[str, np.ndarray]]
    """``sample(count)``: random inputs. An export and its model are compared on them."""
    special_samples: Callable[[], list[dict[str, np.ndarray]]] = list
    """Further inputs to compare, which random ones would miss: a text of the full length, another setting."""

    def graph(self, model: Any) -> Any:
        """The function for one model, as a graph that takes the inputs by name.

        Args:
            model: the model.
        """
        function = tf.function(lambda **inputs: self.answer(model, **inputs), autograph=False)
        return function.get_concrete_function(**self.inputs)
