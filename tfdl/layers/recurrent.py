"""What recurrent layers have in common: weights, states, masks, and time first."""

from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from tfdl.layers import cudnn
from tfdl.layers.bias import add_bias

State = tuple[Any, ...]


class Recurrent(keras.layers.Layer):
    r"""A layer that goes through a sequence with a state; subclasses say how a step goes.

    Weights are Keras's: ``kernel`` $(D, G U)$, ``recurrent_kernel`` $(U, G U)$ and ``bias``, gates side by side, so
    weights are exchanged with the Keras layer of the same name.

    Args:
        units: $U$, width of the state and of the outputs.
        recurrent_dropout: probability that a unit of the state is dropped on its way into the recurrent kernel, the
            same units at every step of a sequence (Gal and Ghahramani, 2016, https://arxiv.org/abs/1512.05287).
        kernel_initializer, recurrent_initializer, bias_initializer: initial values; Keras's defaults.
        seed: of the dropout.

    Call arguments:
        inputs: ``(B, T, D)``.
        state: a tuple of ``(B, U)`` tensors; zeros if not given.
        training: whether to drop.

    Returns:
        The outputs at all steps, ``(B, T, U)``, and the state after the last one.
    """

    gates: int
    """Blocks of ``units`` columns in the kernels."""
    num_states = 1
    in_cudnn = False
    """Whether cuDNN has this cell."""

    def __init__(
        self,
        units: int,
        recurrent_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        kind = type(self).__name__
        if units < 1:
            raise ValueError(f"{kind} units={units}, expected at least 1")
        if not 0 <= recurrent_dropout < 1:
            raise ValueError(f"{kind} recurrent_dropout={recurrent_dropout}, expected a number from 0 to below 1")
        self.units, self.recurrent_dropout, self.seed = units, recurrent_dropout, seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        if recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @abstractmethod
    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        """All steps, time-major: inputs ``(T, B, D)`` to outputs ``(T, B, U)`` and the last state."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        if len(input_shape) != 3 or width is None:
            raise ValueError(f"{type(self).__name__} got inputs of shape {tuple(input_shape)}, expected (B, T, D)")
        columns = self.gates * self.units
        self.kernel = self.add_weight(shape=(width, columns), name="kernel", initializer=self.kernel_initializer)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns), name="recurrent_kernel", initializer=self.recurrent_initializer
        )
        self.bias = self.add_weight(shape=self._bias_shape(), name="bias", initializer=self._initial_bias)
        if self.in_cudnn and not self.recurrent_dropout:
            self.supports_jit = not cudnn.is_present()  # so that Keras's fit leaves XLA alone where cuDNN is quicker

    def call(self, inputs: Any, state: State | None = None, training: bool = False) -> tuple[Any, State]:
        inputs = tf.convert_to_tensor(inputs)
        batch = tf.shape(inputs)[0] if inputs.shape[0] is None else inputs.shape[0]
        if state is None:
            state = self.initial_state(batch)
        mask = None
        if training and self.recurrent_dropout:
            kept = keras.random.dropout(
                tf.ones([batch, self.units], inputs.dtype), self.recurrent_dropout, seed=self.seed_generator
            )
            mask = tf.ensure_shape(kept, [inputs.shape[0], self.units])
        state = tuple(tf.ensure_shape(tf.cast(s, inputs.dtype), [inputs.shape[0], self.units]) for s in state)
        outputs, state = self.run(tf.transpose(inputs, [1, 0, 2]), state, mask)
        outputs = tf.transpose(outputs, [1, 0, 2])  # (B, T, U)
        outputs.set_shape([*inputs.shape[:2], self.units])
        return outputs, state

    def initial_state(self, batch_size: Any) -> State:
        """Zeros ``(B, U)``, as many as the layer has states."""
        return tuple(tf.zeros([batch_size, self.units], self.compute_dtype) for _ in range(self.num_states))

    def compute_output_spec(self, inputs: Any, state: Any = None, training: bool = False) -> Any:  # noqa: ARG002
        batch, length, _ = inputs.shape
        last = tuple(keras.KerasTensor((batch, self.units), self.compute_dtype) for _ in range(self.num_states))
        return keras.KerasTensor((batch, length, self.units), self.compute_dtype), last

    def get_config(self) -> dict[str, Any]:
        names = ("kernel_initializer", "recurrent_initializer", "bias_initializer")
        return {
            **super().get_config(),
            "units": self.units,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            **{name: keras.initializers.serialize(getattr(self, name)) for name in names},
        }

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        return self.bias_initializer(shape, dtype)

    def _projected(self, inputs: Any, bias: Any) -> Any:
        """``(T, B, D)`` to ``(T, B, G U)``, one product over all steps."""
        length, batch, width = inputs.shape
        sizes = [tf.shape(inputs)[0] if length is None else length, tf.shape(inputs)[1] if batch is None else batch]
        flat = tf.matmul(tf.reshape(inputs, [-1, width]), tf.convert_to_tensor(self.kernel))
        projected = tf.reshape(add_bias(flat, bias), [*sizes, self.gates * self.units])
        projected.set_shape([length, batch, self.gates * self.units])
        return projected
