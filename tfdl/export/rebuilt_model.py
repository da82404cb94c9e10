"""A run's model in another precision: built anew, with the same weights."""

from typing import Any

from tfdl.config.models.keras import KerasModelConfig
from tfdl.models import build_model, compute_precision
from tfdl.models.low_rank import update_scale, without_updates
from tfdl.runs.load import LoadedRun


def rebuilt_model(loaded: LoadedRun, precision: str) -> Any:
    """The model of a run in another precision, with its weights as far as the precision holds them.

    Args:
        loaded: without updates of low rank. The model is one of tfdl's families.
        precision: of its variables and of what it computes.
    """
    config = loaded.config.model
    if update_scale(config) is not None:
        config = without_updates(config)
    with compute_precision(precision):
        model = build_model(config, **loaded.task.model_arguments)
    for variable, value in zip(model.weights, loaded.model.weights, strict=True):
        variable.assign(value)
    return model


def float64_model(loaded: LoadedRun) -> Any | None:
    """The model of a run in float64, beside which float32's rounding can be seen; None for a Keras model of the user.

    Args:
        loaded: in float32, without updates of low rank.
    """
    return None if isinstance(loaded.config.model, KerasModelConfig) else rebuilt_model(loaded, "float64")
