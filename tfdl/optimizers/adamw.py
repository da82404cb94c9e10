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

    A drop-in replacement for ``keras.optimizers.AdamW``, with the same arguments and defaults. It decays all variables
    except those passed to ``exclude_from_weight_decay`` before it is built. ``tfdl train`` excludes biases and gains.

    Args:
        learning_rate: $\eta$, a number or a ``keras.optimizers.schedules.LearningRateSchedule``.
        weight_decay: $\lambda$.
        beta_1, beta_2, epsilon, amsgrad: as for ``Adam``.
        name: of the optimizer.
        **kwargs: ``clipnorm``, ``global_clipnorm``, ``use_ema`` and so on, as in Keras.

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
        name: str = "adamw",
        **kwargs: Any,
    ):
        if weight_decay is None:
            raise ValueError("AdamW weight_decay=None, expected a number; for no weight decay use Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, name, weight_decay=weight_decay, **kwargs)
