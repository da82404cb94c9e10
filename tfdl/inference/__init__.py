"""Using what was trained: predictions for new inputs, and texts that models write."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Generator": "tfdl.inference.generation",
    "InputOptions": "tfdl.inference.inputs.options",
    "Item": "tfdl.inference.items",
    "Predictor": "tfdl.inference.predictor",
    "Trained": "tfdl.inference.trained",
    "load": "tfdl.inference.trained",
    "open_inputs": "tfdl.inference.inputs.opening",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.inference.generation import Generator as Generator
    from tfdl.inference.inputs.opening import open_inputs as open_inputs
    from tfdl.inference.inputs.options import InputOptions as InputOptions
    from tfdl.inference.items import Item as Item
    from tfdl.inference.predictor import Predictor as Predictor
    from tfdl.inference.trained import Trained as Trained
    from tfdl.inference.trained import load as load


__getattr__ = lazy_names(__name__, _PUBLIC)
