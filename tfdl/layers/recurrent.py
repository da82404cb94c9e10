"""The base class of recurrent layers: weights, states, recurrent dropout and the time-major layout."""

from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from tfdl.layers import cudnn
from tfdl.layers.bias import add_bias
from tfdl.layers.dynamic_shape import dynamic_shape

State = tuple[Any, ...]


class Recurrent(keras.layers.Layer):
    r"""Base class of layers that carry a state through a sequence. Subclasses define the step.

    The weights have Keras's layout, with the gates side by side: ``kernel`` ``(dim, gates * units)``,
    ``recurrent_kernel`` ``(units, gates * units)`` and ``bias``. Weights can be exchanged with the Keras layer of the
    same name.

    Args:
        units: width of the state and of the outputs.
        recurrent_dropout: probability that a unit of the state is dropped before the recurrent product. The same units
            are dropped at every step of a sequence (Gal and Ghahramani, 2016, https://arxiv.org/abs/1512.05287).
        kernel_initializer, recurrent_initializer, bias_initializer: initial values. The defaults are Keras's.
        seed: of the dropout.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        state: a tuple of ``(batch, units)`` tensors. Defaults to zeros.
        training: whether to apply the dropout.

    Returns:
        The outputs of all steps, ``(batch, time, units)``, and the state after the last step.
    """

    gates: int
    """Number of gates: the kernels have ``units`` columns for each."""
    num_states = 1
    """Number of tensors in the state."""
    in_cudnn = False
    """Whether cuDNN supports this cell."""

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
        class_name = type(self).__name__
        if units < 1:
            raise ValueError(f"{class_name} units={units}, expected at least 1")
        if not 0 <= recurrent_dropout < 1:
            raise ValueError(f"{class_name} recurrent_dropout={recurrent_dropout}, expected a number from 0 to below 1")
        self.units = units
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        if recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @abstractmethod
    def run(self, inputs: Any, state: State, mask: Any) -> tuple[Any, State]:
        """Runs all steps, time-major.

        Args:
            inputs: ``(time, batch, dim)``.
            state: the initial state.
            mask: recurrent dropout, ``(batch, units)``, or None.

        Returns:
            Outputs ``(time, batch, units)``, and the last state.
        """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        width = input_shape[-1]
        if len(input_shape) != 3 or width is None:
            raise ValueError(
                f"{type(self).__name__} got inputs of shape {tuple(input_shape)}, expected (batch, time, dim)"
            )
        columns = self.gates * self.units
        self.kernel = self.add_weight(shape=(width, columns), name="kernel", initializer=self.kernel_initializer)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns), name="recurrent_kernel", initializer=self.recurrent_initializer
        )
        self.bias = self.add_weight(shape=self._bias_shape(), name="bias", initializer=self._initial_bias)
        if self.in_cudnn and not self.recurrent_dropout:
            # Keras's fit then does not compile the model by XLA, which would be slower than cuDNN.
            self.supports_jit = not cudnn.is_present()

    def call(self, inputs: Any, state: State | None = None, training: bool = False) -> tuple[Any, State]:
        inputs = tf.convert_to_tensor(inputs)  # (batch, time, dim)
        static_batch, static_time, _ = inputs.shape
        batch = tf.shape(inputs)[0] if static_batch is None else static_batch
        if state is None:
            state = self.initial_state(batch)
        mask = None
        if training and self.recurrent_dropout:
            ones = tf.ones([batch, self.units], inputs.dtype)
            mask = keras.random.dropout(ones, self.recurrent_dropout, seed=self.seed_generator)
            mask = tf.ensure_shape(mask, [static_batch, self.units])  # (batch, units)
        state = tuple(tf.ensure_shape(tf.cast(s, inputs.dtype), [static_batch, self.units]) for s in state)
        outputs, state = self.run(tf.transpose(inputs, [1, 0, 2]), state, mask)  # (time, batch, units)
        outputs = tf.transpose(outputs, [1, 0, 2])  # (batch, time, units)
        outputs.set_shape([static_batch, static_time, self.units])
        return outputs, state

    def initial_state(self, batch_size: Any) -> State:
        """Returns a state of zeros, a tuple of ``(batch, units)`` tensors."""
        return tuple(tf.zeros([batch_size, self.units], self.compute_dtype) for _ in range(self.num_states))

    def compute_output_spec(self, inputs: Any, state: Any = None, training: bool = False) -> Any:  # noqa: ARG002
        batch, time, _ = inputs.shape
        outputs = keras.KerasTensor((batch, time, self.units), self.compute_dtype)
        last_state = tuple(keras.KerasTensor((batch, self.units), self.compute_dtype) for _ in range(self.num_states))
        return outputs, last_state

    def get_config(self) -> dict[str, Any]:
        initializers = ("kernel_initializer", "recurrent_initializer", "bias_initializer")
        return {
            **super().get_config(),
            "units": self.units,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            **{name: keras.initializers.serialize(getattr(self, name)) for name in initializers},
        }

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        return self.bias_initializer(shape, dtype)

    def _project(self, inputs: Any, bias: Any) -> Any:
        """Multiplies (time, batch, dim) by the kernel in one product over all steps: (time, batch, gates * units)."""
        static_time, static_batch, width = inputs.shape
        columns = self.gates * self.units
        time, batch, _ = dynamic_shape(inputs)
        rows = tf.reshape(inputs, [-1, width])  # (time * batch, dim)
        rows = add_bias(tf.matmul(rows, tf.convert_to_tensor(self.kernel)), bias)  # (time * batch, columns)
        projected = tf.reshape(rows, [time, batch, columns])  # (time, batch, columns)
        projected.set_shape([static_time, static_batch, columns])
        return projected
