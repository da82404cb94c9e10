r"""Adam."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import FusedOptimizer, handle_of


@keras.saving.register_keras_serializable(package="tfdl")
class Adam(FusedOptimizer):
    r"""Steps scaled by running moments of the gradient (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980).

    At step $t$ (from 1), with gradient $g$ and learning rate $\eta$:

    $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
    $$\theta \leftarrow \theta - \eta\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{v} + \epsilon}$$

    $\epsilon$ stands outside the root and is not corrected for bias, as in the paper's section 2 and in Keras. With
    ``amsgrad`` the largest $v$ so far takes the place of $v$ in the step (Reddi et al., 2018). A drop-in for
    ``keras.optimizers.Adam``, with its arguments and defaults; each dense variable is updated by one fused kernel.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        beta_1, beta_2: decay of the two moments, in [0, 1).
        epsilon: $\epsilon$.
        amsgrad: whether to keep the largest second moment.
        **kwargs: ``weight_decay``, ``clipnorm``, ``global_clipnorm``, ``use_ema``, ``name`` and so on, as in Keras.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str = "adam",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def build(self, variables: Any) -> None:
        """Creates a zero of each moment for every variable."""
        if self.built:
            return
        super().build(variables)
        self._m, self._v = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._v_max = self.add_optimizer_variables(variables, "velocity_hat")

    def _scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        # Constants made in this dtype: a cast would round them to float32 first.
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        return {
            "lr": rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "beta1_power": tf.pow(beta_1, step),
            "beta2_power": tf.pow(beta_2, step),
            "epsilon": tf.constant(self.epsilon, dtype),
        }

    def _step(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        index = self._get_variable_index(variable)
        m, v = self._m[index], self._v[index]
        if not self.amsgrad:
            tf.raw_ops.ResourceApplyAdam(
                var=handle_of(variable), m=handle_of(m), v=handle_of(v), grad=gradient, **scalars
            )
            return
        # Written out: XLA has no kernel for the fused one.
        v_max, one = self._v_max[index], tf.constant(1.0, gradient.dtype)
        m.assign_add((gradient - m) * (one - scalars["beta1"]))
        v.assign_add((tf.square(gradient) - v) * (one - scalars["beta2"]))
        v_max.assign(tf.maximum(v_max, v))
        rate = scalars["lr"] * tf.sqrt(one - scalars["beta2_power"]) / (one - scalars["beta1_power"])
        variable.assign_sub(rate * m / (tf.sqrt(v_max) + scalars["epsilon"]))

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}
