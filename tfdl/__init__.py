"""tfdl: Keras 3 models on TensorFlow, trained alone or data-parallel under Horovod.

Importing ``tfdl`` imports neither TensorFlow nor Keras: each public name loads what it needs when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "RunError": "tfdl.errors",
    "StoppedError": "tfdl.errors",
    "TrainConfig": "tfdl.config",
    "UserError": "tfdl.errors",
    "build_model": "tfdl.models",
    "build_optimizer": "tfdl.optimizers",
    "evaluate": "tfdl.evaluation",
    "export_saved_model": "tfdl.export",
    "train": "tfdl.training",
}
_MODULES = (
    "config",
    "data",
    "diagnosis",
    "distributed",
    "evaluation",
    "inspection",
    "layers",
    "models",
    "optimizers",
    "tasks",
    "training",
)

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from tfdl.config import TrainConfig as TrainConfig
    from tfdl.errors import RunError as RunError
    from tfdl.errors import StoppedError as StoppedError
    from tfdl.errors import UserError as UserError
    from tfdl.evaluation import evaluate as evaluate
    from tfdl.export import export_saved_model as export_saved_model
    from tfdl.models import build_model as build_model
    from tfdl.optimizers import build_optimizer as build_optimizer
    from tfdl.training import train as train


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"tfdl.{name}")
    raise AttributeError(f"module 'tfdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
