r"""Adam with decoupled weight decay."""

from typing import Any

import keras

from tfdl.optimizers.adam import Adam


@keras.saving.register_keras_serializable(package="tfdl")
class AdamW(Adam):
    r"""Adam whose weight decay is no part of the gradient (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101).

    With learning rate $\eta$ and decay $\lambda$, before Adam's own step:

    $$\theta \leftarrow \theta - \eta \lambda\, \theta$$

    so that every weight shrinks at the same rate, whatever its gradients were. A drop-in for
    ``keras.optimizers.AdamW``, with its arguments and defaults. It decays every variable but those that
    ``exclude_from_weight_decay`` was told of before it was built; ``tfdl train`` names biases and gains.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        weight_decay: $\lambda$.
        beta_1, beta_2, epsilon, amsgrad: as for ``Adam``.
        **kwargs: ``clipnorm``, ``global_clipnorm``, ``use_ema``, ``name`` and so on, as in Keras.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str = "adamw",
        **kwargs: Any,
    ):
        if weight_decay is None:
            raise ValueError("AdamW weight_decay=None, expected a number; for none at all use Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, name, weight_decay=weight_decay, **kwargs)
