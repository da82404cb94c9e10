"""Loads a run for exports, whose models are plain float32."""

from dataclasses import replace
from pathlib import Path

from tfdl.config.models.keras import KerasModelConfig
from tfdl.errors import UserError
from tfdl.export.keras.rebuilding import float32_model, has_graph, layers_in_other_precisions
from tfdl.export.rebuilt_model import rebuilt_model
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.load import LoadedRun


def load_float32(run: str | Path | RunDirectory, checkpoint: str, *, may_be_float64: bool = False) -> LoadedRun:
    """A run whose model has and computes float32, whatever precision it was trained in, without updates of low rank.

    Args:
        run: a run directory.
        checkpoint: the weights to use.
        may_be_float64: whether a model of the user that cannot be made anew may stay float64.

    Raises:
        UserError: there is no such run or checkpoint, or a model of the user in another precision cannot be made anew.
    """
    config = RunDirectory.open(run).read_config()
    is_double = config.precision == "float64"
    loaded = load_run(run, checkpoint, precision="float64" if is_double else "float32", merged=True)
    if isinstance(config.model, KerasModelConfig):
        return _own_model_in_float32(loaded, may_be_float64)
    if not is_double:
        return loaded
    model = rebuilt_model(loaded, "float32")
    loaded.task.fit_to(model)
    return replace(loaded, model=model)


def _own_model_in_float32(loaded: LoadedRun, may_be_float64: bool) -> LoadedRun:
    """A run with a Keras model of the user, which has the precision that it was built with."""
    others = layers_in_other_precisions(loaded.model)
    if not others:
        return loaded
    if not has_graph(loaded.model):
        if may_be_float64 and all(layer.compute_dtype == "float64" for layer in others):
            return loaded
        layer = others[0]
        raise UserError(
            f"the layer {layer.name!r} of your {type(loaded.model).__name__} computes in {layer.compute_dtype}, and"
            " only functional and sequential models can be made anew in float32; train a model that was built in"
            " float32"
        )
    model = float32_model(loaded.model)
    loaded.task.fit_to(model)
    return replace(loaded, model=model)
