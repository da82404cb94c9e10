"""Keras optimizers that update each variable in one fused kernel (drop-ins for Keras's own), and schedules."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "SGD": "tfdl.optimizers.sgd",
    "Adam": "tfdl.optimizers.adam",
    "AdamW": "tfdl.optimizers.adamw",
    "build_optimizer": "tfdl.optimizers.build",
    "build_schedule": "tfdl.optimizers.schedule_builders",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.optimizers.adam import Adam as Adam
    from tfdl.optimizers.adamw import AdamW as AdamW
    from tfdl.optimizers.build import build_optimizer as build_optimizer
    from tfdl.optimizers.schedule_builders import build_schedule as build_schedule
    from tfdl.optimizers.sgd import SGD as SGD


__getattr__ = lazy_names(__name__, _PUBLIC)
