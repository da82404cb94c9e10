"""The configuration of a run, and the declared parts.

Configurations are frozen dataclasses, read from YAML and options, and checked when they are made.
"""

from tfdl.config.augmentations import AUGMENTATIONS, AugmentationConfig, register_augmentation
from tfdl.config.dataset import DATASETS, DatasetConfig, register_dataset
from tfdl.config.export_formats import (
    EXPORT_FORMATS,
    ExportFormatSpec,
    ExportReport,
    ExportRequest,
    register_export_format,
)
from tfdl.config.mapping import to_mapping
from tfdl.config.models import (
    MODELS,
    PRESETS,
    CNNConfig,
    ModelConfig,
    Preset,
    ResNetConfig,
    RNNConfig,
    TransformerConfig,
    choose_model,
    register_model,
)
from tfdl.config.optimizers import (
    OPTIMIZERS,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    SGDConfig,
    choose_optimizer,
    register_optimizer,
)
from tfdl.config.samplers import SAMPLERS, SamplerConfig, choose_samplers, register_sampler
from tfdl.config.schedules import SCHEDULES, ScheduleConfig, register_schedule
from tfdl.config.sources import assignment, compose, to_yaml
from tfdl.config.tasks import TASKS, TaskSpec, register_task
from tfdl.config.tokenizers import TOKENIZERS, TokenizerConfig, choose_tokenizer, register_tokenizer
from tfdl.config.train import TrainConfig
from tfdl.config.yaml_files import load_yaml

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "EXPORT_FORMATS",
    "MODELS",
    "OPTIMIZERS",
    "PRESETS",
    "SAMPLERS",
    "SCHEDULES",
    "TASKS",
    "TOKENIZERS",
    "AdamConfig",
    "AdamWConfig",
    "AugmentationConfig",
    "CNNConfig",
    "DatasetConfig",
    "ExportFormatSpec",
    "ExportReport",
    "ExportRequest",
    "ModelConfig",
    "OptimizerConfig",
    "Preset",
    "RNNConfig",
    "ResNetConfig",
    "SGDConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "TaskSpec",
    "TokenizerConfig",
    "TrainConfig",
    "TransformerConfig",
    "assignment",
    "choose_model",
    "choose_optimizer",
    "choose_samplers",
    "choose_tokenizer",
    "compose",
    "load_yaml",
    "register_augmentation",
    "register_dataset",
    "register_export_format",
    "register_model",
    "register_optimizer",
    "register_sampler",
    "register_schedule",
    "register_task",
    "register_tokenizer",
    "to_mapping",
    "to_yaml",
]
