r"""Adam with decoupled weight decay."""

from typing import Any

import keras

from tfdl.optimizers.adam import Adam


@keras.saving.register_keras_serializable(package="tfdl")
class AdamW(Adam):
    r"""Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101).

    With learning rate $\eta$ and decay $\lambda$, before the step of Adam:

    $$\theta \leftarrow \theta - \eta \lambda\, \theta$$

    All weights shrink at the same rate, whatever their gradients are.

    A drop-in replacement for ``keras.optimizers.AdamW``, with the same arguments, defaults, slots and names; what
    differs is listed at ``Adam``. It decays all variables except those passed to ``exclude_from_weight_decay`` before
    it is built. ``tfdl train`` excludes biases and gains.

    Args:
        learning_rate: $\eta$, as for ``Adam``.
        weight_decay: $\lambda$.
        beta_1, beta_2, epsilon, amsgrad: as for ``Adam``.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps: as for every Keras optimizer.
        name: of the optimizer, by default ``adam_w``, ``adam_w_1`` and so on.
        **kwargs: as for ``Adam``.

    Raises:
        ValueError: ``weight_decay`` is None.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("AdamW weight_decay=None, expected a number; for no weight decay use Adam")
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
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
