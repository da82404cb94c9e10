"""tfdl: Keras 3 models on TensorFlow, trained alone or data-parallel under Horovod.

Importing ``tfdl`` imports neither TensorFlow nor Keras: each public name loads what it needs when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "AugmentationConfig": "tfdl.config",
    "DatasetConfig": "tfdl.config",
    "ExportFormatSpec": "tfdl.config",
    "ExportReport": "tfdl.config",
    "ExportRequest": "tfdl.config",
    "ModelConfig": "tfdl.config",
    "OptimizerConfig": "tfdl.config",
    "Preset": "tfdl.config",
    "RunError": "tfdl.errors",
    "SamplerConfig": "tfdl.config",
    "ScheduleConfig": "tfdl.config",
    "StoppedError": "tfdl.errors",
    "TaskSpec": "tfdl.config",
    "TokenizerConfig": "tfdl.config",
    "TrainConfig": "tfdl.config",
    "UserError": "tfdl.errors",
    "build_model": "tfdl.models",
    "build_optimizer": "tfdl.optimizers",
    "evaluate": "tfdl.evaluation",
    "export_huggingface": "tfdl.export",
    "export_keras": "tfdl.export",
    "export_litert": "tfdl.export",
    "export_onnx": "tfdl.export",
    "export_saved_model": "tfdl.export",
    "import_model": "tfdl.interop",
    "load": "tfdl.inference",
    "register_augmentation": "tfdl.config",
    "register_dataset": "tfdl.config",
    "register_export_format": "tfdl.config",
    "register_model": "tfdl.config",
    "register_optimizer": "tfdl.config",
    "register_sampler": "tfdl.config",
    "register_schedule": "tfdl.config",
    "register_task": "tfdl.config",
    "register_tokenizer": "tfdl.config",
    "report": "tfdl.reporting",
    "train": "tfdl.training",
}
_MODULES = (
    "config",
    "data",
    "diagnosis",
    "distributed",
    "errors",
    "evaluation",
    "export",
    "inference",
    "inspection",
    "interop",
    "layers",
    "models",
    "optimizers",
    "plugins",
    "reporting",
    "runs",
    "serving",
    "tasks",
    "training",
)

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from tfdl.config import AugmentationConfig as AugmentationConfig
    from tfdl.config import DatasetConfig as DatasetConfig
    from tfdl.config import ExportFormatSpec as ExportFormatSpec
    from tfdl.config import ExportReport as ExportReport
    from tfdl.config import ExportRequest as ExportRequest
    from tfdl.config import ModelConfig as ModelConfig
    from tfdl.config import OptimizerConfig as OptimizerConfig
    from tfdl.config import Preset as Preset
    from tfdl.config import SamplerConfig as SamplerConfig
    from tfdl.config import ScheduleConfig as ScheduleConfig
    from tfdl.config import TaskSpec as TaskSpec
    from tfdl.config import TokenizerConfig as TokenizerConfig
    from tfdl.config import TrainConfig as TrainConfig
    from tfdl.config import register_augmentation as register_augmentation
    from tfdl.config import register_dataset as register_dataset
    from tfdl.config import register_export_format as register_export_format
    from tfdl.config import register_model as register_model
    from tfdl.config import register_optimizer as register_optimizer
    from tfdl.config import register_sampler as register_sampler
    from tfdl.config import register_schedule as register_schedule
    from tfdl.config import register_task as register_task
    from tfdl.config import register_tokenizer as register_tokenizer
    from tfdl.errors import RunError as RunError
    from tfdl.errors import StoppedError as StoppedError
    from tfdl.errors import UserError as UserError
    from tfdl.evaluation import evaluate as evaluate
    from tfdl.export import export_huggingface as export_huggingface
    from tfdl.export import export_keras as export_keras
    from tfdl.export import export_litert as export_litert
    from tfdl.export import export_onnx as export_onnx
    from tfdl.export import export_saved_model as export_saved_model
    from tfdl.inference import load as load
    from tfdl.interop import import_model as import_model
    from tfdl.models import build_model as build_model
    from tfdl.optimizers import build_optimizer as build_optimizer
    from tfdl.reporting import report as report
    from tfdl.training import train as train


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _MODULES:
        return import_module(f"tfdl.{name}")
    raise AttributeError(f"module 'tfdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
