r"""The feed-forward layer of a Transformer: a wide layer, an activation and a narrow layer, for each position alone."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.dense import Dense
from tfdl.layers.gelu import gelu, gelu_exact
from tfdl.layers.side_by_side import side_by_side


@keras.saving.register_keras_serializable(package="tfdl")
class FeedForward(keras.layers.Layer):
    r"""Two dense layers with an activation between them (Vaswani et al., 2017, section 3.3).

    $$y = f(x W_1 + b_1)\, W_2 + b_2$$

    ``"gelu"`` is the $f$ of GPT-2, the approximation with $\tanh$. ``"gelu_exact"`` is that of BERT, with the error
    function (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415). With ``"swiglu"`` one half of $x W_1$ gates
    the other half (Shazeer, 2020, https://arxiv.org/abs/2002.05202), and $W_1 = [G, U]$ is twice as wide:

    $$y = \left(\mathrm{silu}(x G) \odot x U\right) W_2$$

    Args:
        intermediate_dim: width between the two layers.
        activation: ``"gelu"``, ``"gelu_exact"``, ``"relu"`` or ``"swiglu"``.
        use_bias: whether the two layers have biases.
        kernel_initializer: for $W_1$; with ``"swiglu"`` for $G$ and $U$ separately.
        output_initializer: for $W_2$.

    Call arguments:
        inputs: ``(..., dim)``.

    Returns:
        A tensor of the shape of ``inputs``, in the layer's compute dtype.

    Raises:
        ValueError: unknown activation, or ``intermediate_dim`` below 1.
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
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        is_gated = self.activation == "swiglu"
        widths = [self.intermediate_dim] * (2 if is_gated else 1)
        shared = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        up_initializer = side_by_side(self.kernel_initializer, widths)
        self.up = Dense(sum(widths), kernel_initializer=up_initializer, name="up", **shared)
        self.down = Dense(input_shape[-1], kernel_initializer=self.output_initializer, name="down", **shared)
        self.up.build(input_shape)
        self.down.build((*input_shape[:-1], self.intermediate_dim))

    def call(self, inputs: Any) -> Any:
        activation = _ACTIVATIONS[self.activation]
        hidden = self.up(inputs)  # (..., intermediate_dim), or (..., 2 * intermediate_dim) with a gate
        hidden = activation(hidden)  # (..., intermediate_dim)
        return self.down(hidden)  # (..., dim)

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


def _swiglu(gate_and_up: Any) -> Any:
    """(..., 2 * intermediate_dim) to (..., intermediate_dim)."""
    gate, up = tf.split(gate_and_up, 2, axis=-1)  # (..., intermediate_dim) each
    return tf.nn.silu(gate) * up


_ACTIVATIONS = {"gelu": gelu, "gelu_exact": gelu_exact, "relu": tf.nn.relu, "swiglu": _swiglu}
