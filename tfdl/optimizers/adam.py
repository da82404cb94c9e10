r"""Adam."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import FusedOptimizer
from tfdl.optimizers.variables import handle_of, subtract


@keras.saving.register_keras_serializable(package="tfdl")
class Adam(FusedOptimizer):
    r"""Adam: steps scaled by running moments of the gradient (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980).

    At step $t$ (from 1), with gradient $g$ and learning rate $\eta$:

    $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
    $$\theta \leftarrow \theta - \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{v} + \epsilon}$$

    $\epsilon$ is outside the root and is not corrected for bias, as in section 2 of the paper and in Keras. With
    ``amsgrad`` the step uses the largest $v$ so far instead of $v$ (Reddi et al., 2018).

    A drop-in replacement for ``keras.optimizers.Adam``, with the same arguments, defaults, slots and names. One fused
    kernel updates each variable. Two results differ from Keras's (3.15):

    - If a row of an embedding occurs several times in a batch, its gradient is the sum, as if the gradient were dense.
      Keras squares each occurrence separately for $v$ and for ``clipnorm`` and ``global_clipnorm``, and clips each
      separately with ``clipvalue``.
    - In float64, $\beta_1$, $\beta_2$ and $\epsilon$ are float64. Keras rounds them to float32.

    ``loss_scale_factor`` works with the gradients of embeddings, too, and so does ``use_ema`` with variables that are
    overwritten by their gradients; in Keras both are errors.

    Args:
        learning_rate: $\eta$: a float, a ``keras.optimizers.schedules.LearningRateSchedule``, or a function without
            arguments.
        beta_1, beta_2: decay rates of the two moments, in [0, 1).
        epsilon: $\epsilon$.
        amsgrad: whether to use the largest second moment.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps: as for every Keras optimizer.
        name: of the optimizer, by default ``adam``, ``adam_1`` and so on.
        **kwargs: refused by Keras, except ``decay``, which it ignores.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Any) -> None:
        """Creates the moments of every variable, with zeros."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat")

    def _kernel_scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        # The constants are made in this dtype: a cast to float64 would round them to float32 first.
        beta_1 = tf.constant(self.beta_1, dtype)
        beta_2 = tf.constant(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        return {
            "lr": rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "beta1_power": tf.pow(beta_1, step),
            "beta2_power": tf.pow(beta_2, step),
            "epsilon": tf.constant(self.epsilon, dtype),
        }

    def _update_variable(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        index = self._get_variable_index(variable)
        m = self._momentums[index]
        v = self._velocities[index]
        if not self.amsgrad:
            tf.raw_ops.ResourceApplyAdam(
                var=handle_of(variable), m=handle_of(m), v=handle_of(v), grad=gradient, **scalars
            )
            return
        # AMSGrad is written out, since XLA has no kernel for TensorFlow's fused one.
        v_max = self._velocity_hats[index]
        one = tf.constant(1.0, gradient.dtype)
        subtract(m, one - scalars["beta1"], m - gradient)
        subtract(v, one - scalars["beta2"], v - tf.square(gradient))
        v_max.assign(tf.maximum(v_max, v))
        rate = scalars["lr"] * tf.sqrt(one - scalars["beta2_power"]) / (one - scalars["beta1_power"])
        subtract(variable, rate, m / (tf.sqrt(v_max) + scalars["epsilon"]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
