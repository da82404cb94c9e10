"""What a run is: frozen dataclasses, read from YAML and options, checked where they are made."""

from tfdl.config.dataset import DatasetConfig
from tfdl.config.models import (
    MODEL_CONFIGS,
    PRESETS,
    CNNConfig,
    ModelConfig,
    Preset,
    ResNetConfig,
    RNNConfig,
    TransformerConfig,
    choose_model,
)
from tfdl.config.optimizers import OPTIMIZER_CONFIGS, AdamConfig, AdamWConfig, OptimizerConfig, SGDConfig
from tfdl.config.sources import assignment, compose, load_yaml, to_mapping, to_yaml
from tfdl.config.tokenizers import TokenizerConfig
from tfdl.config.train import TrainConfig

__all__ = [
    "MODEL_CONFIGS",
    "OPTIMIZER_CONFIGS",
    "PRESETS",
    "AdamConfig",
    "AdamWConfig",
    "CNNConfig",
    "DatasetConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Preset",
    "RNNConfig",
    "ResNetConfig",
    "SGDConfig",
    "TokenizerConfig",
    "TrainConfig",
    "TransformerConfig",
    "assignment",
    "choose_model",
    "compose",
    "load_yaml",
    "to_mapping",
    "to_yaml",
]
