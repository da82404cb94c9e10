r"""Stochastic gradient descent."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import FusedOptimizer, handle_of


@keras.saving.register_keras_serializable(package="tfdl")
class SGD(FusedOptimizer):
    r"""Stochastic gradient descent with momentum (Polyak, 1964; Sutskever et al., 2013).

    With gradient $g$, learning rate $\eta$ and momentum $\mu$:

    $$u \leftarrow \mu u - \eta g \qquad \theta \leftarrow \theta + u$$

    With ``nesterov`` the step is $\theta \leftarrow \theta + \mu u - \eta g$ with the new $u$. The learning rate is
    part of $u$, as in Keras: a change of $\eta$ affects only new gradients.

    A drop-in replacement for ``keras.optimizers.SGD``, with the same arguments and defaults.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        momentum: $\mu$, in [0, 1]. 0 is plain gradient descent, which keeps no state.
        nesterov: whether to use Nesterov's momentum (Nesterov, 1983).
        name: of the optimizer.
        **kwargs: ``weight_decay``, ``clipnorm``, ``global_clipnorm``, ``use_ema`` and so on, as in Keras.

    Raises:
        ValueError: ``momentum`` out of range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str = "SGD",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum={momentum!r}, expected a number from 0 to 1")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Any) -> None:
        """Creates the velocity of every variable, with zeros, if there is momentum."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self._velocities = self.add_optimizer_variables(variables, "momentum")

    def _kernel_scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        if not self.momentum:
            return {"alpha": rate}
        return {"lr": rate, "momentum": tf.constant(self.momentum, dtype), "use_nesterov": self.nesterov}

    def _update_variable(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=handle_of(variable), delta=gradient, **scalars)
            return
        velocity = self._velocities[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handle_of(variable), accum=handle_of(velocity), grad=gradient, **scalars
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
