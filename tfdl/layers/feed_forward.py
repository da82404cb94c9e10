r"""What every position of a Transformer goes through alone: a wide layer, an activation, and a narrow layer."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.dense import Dense
from tfdl.layers.gelu import gelu, gelu_exact
from tfdl.layers.side_by_side import side_by_side


@keras.saving.register_keras_serializable(package="tfdl")
class FeedForward(keras.layers.Layer):
    r"""Widens each vector, bends it, and narrows it again (Vaswani et al., 2017, section 3.3).

    $$y = f(x W_1 + b_1)\, W_2 + b_2$$

    ``"gelu"`` is GPT-2's $f$, the approximation with $\tanh$; ``"gelu_exact"`` BERT's, with the error function
    (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415). With ``"swiglu"`` one half of $x W_1$ is the gate of
    the other (Shazeer, 2020, https://arxiv.org/abs/2002.05202), and $W_1 = [G, U]$ is twice as wide:

    $$y = \left(\mathrm{silu}(x G) \odot x U\right) W_2$$

    Args:
        intermediate_dim: $F$, the width between the two layers.
        activation: ``"gelu"``, ``"gelu_exact"``, ``"relu"`` or ``"swiglu"``.
        use_bias: whether the two layers have biases.
        kernel_initializer, output_initializer: of $W_1$ (of $G$ and of $U$) and of $W_2$.

    Call arguments:
        inputs: ``(..., D)``.

    Returns:
        A tensor of the shape of ``inputs``, in the layer's compute dtype.

    Raises:
        ValueError: an unknown activation, or a width below 1.
    """

    def __init__(
        self,
        intermediate_dim: int,
        activation: str = "gelu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"FeedForward activation={activation!r}, expected one of {', '.join(_ACTIVATIONS)}")
        if intermediate_dim < 1:
            raise ValueError(f"FeedForward intermediate_dim={intermediate_dim}, expected at least 1")
        self.intermediate_dim, self.activation, self.use_bias = intermediate_dim, activation, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        same = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        widths = [self.intermediate_dim] * (2 if self.activation == "swiglu" else 1)
        self.up = Dense(
            sum(widths), kernel_initializer=side_by_side(self.kernel_initializer, widths), name="up", **same
        )
        self.down = Dense(input_shape[-1], kernel_initializer=self.output_initializer, name="down", **same)
        self.up.build(input_shape)
        self.down.build((*input_shape[:-1], self.intermediate_dim))

    def call(self, inputs: Any) -> Any:
        wide = self.up(inputs)  # (..., F), or (..., 2F) with a gate
        return self.down(_ACTIVATIONS[self.activation](wide))  # (..., D)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": keras.initializers.serialize(self.output_initializer),
        }


def _swiglu(wide: Any) -> Any:
    """(..., 2F) to (..., F)."""
    gate, up = tf.split(wide, 2, axis=-1)
    return tf.nn.silu(gate) * up


_ACTIVATIONS = {"gelu": gelu, "gelu_exact": gelu_exact, "relu": tf.nn.relu, "swiglu": _swiglu}
