"""Composes configuration, ranks, data, model and optimizer into a run."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Callback": "tfdl.training.callbacks",
    "Trainer": "tfdl.training.trainer",
    "train": "tfdl.training.entry",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.training.callbacks import Callback as Callback
    from tfdl.training.entry import train as train
    from tfdl.training.trainer import Trainer as Trainer


__getattr__ = lazy_names(__name__, _PUBLIC)
