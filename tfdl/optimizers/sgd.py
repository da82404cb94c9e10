r"""Stochastic gradient descent."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.optimizers.fused import FusedOptimizer
from tfdl.optimizers.variables import handle_of


@keras.saving.register_keras_serializable(package="tfdl")
class SGD(FusedOptimizer):
    r"""Stochastic gradient descent with momentum (Polyak, 1964; Sutskever et al., 2013).

    With gradient $g$, learning rate $\eta$ and momentum $\mu$:

    $$u \leftarrow \mu u - \eta g \qquad \theta \leftarrow \theta + u$$

    With ``nesterov`` the step is $\theta \leftarrow \theta + \mu u - \eta g$ with the new $u$. The learning rate is
    part of $u$, as in Keras: a change of $\eta$ affects only new gradients.

    A drop-in replacement for ``keras.optimizers.SGD``, with the same arguments, defaults, slots and names. ``momentum``
    may also be an integer. What else differs is listed at ``Adam``; of it, repeated rows concern only clipping here.

    Without momentum, the gradient of an embedding changes only the rows that occur, in place. With momentum all rows
    move.

    Args:
        learning_rate: $\eta$: a float, a ``keras.optimizers.schedules.LearningRateSchedule``, or a function without
            arguments.
        momentum: $\mu$, in [0, 1]. 0 is plain gradient descent, which keeps no state.
        nesterov: whether to use Nesterov's momentum (Nesterov, 1983).
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps: as for every Keras optimizer.
        name: of the optimizer, by default ``sgd``, ``sgd_1`` and so on.
        **kwargs: refused by Keras, except ``decay``, which it ignores.

    Raises:
        ValueError: ``momentum`` out of range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum={momentum!r}, expected a number from 0 to 1")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Any) -> None:
        """Creates the velocity of every variable, with zeros, if there is momentum."""
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def _kernel_scalars(self, rate: Any, dtype: tf.DType) -> dict[str, Any]:
        if not self.momentum:
            return {"alpha": rate}
        return {"lr": rate, "momentum": tf.constant(self.momentum, dtype), "use_nesterov": self.nesterov}

    def _update_variable(self, variable: Any, gradient: Any, scalars: dict[str, Any]) -> None:
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=handle_of(variable), delta=gradient, **scalars)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handle_of(variable), accum=handle_of(velocity), grad=gradient, **scalars
        )

    def _update_rows(self, variable: Any, gradient: tf.IndexedSlices, scalars: dict[str, Any]) -> None:
        if self.momentum:
            super()._update_rows(variable, gradient, scalars)  # the velocity moves all rows
            return
        tf.raw_ops.ResourceScatterSub(
            resource=handle_of(variable), indices=gradient.indices, updates=scalars["alpha"] * gradient.values
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
