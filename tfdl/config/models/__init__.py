"""One configuration for each model family, and the papers' models as presets."""

from tfdl.config.models.base import ModelConfig, Preset
from tfdl.config.models.cnn import CNNConfig
from tfdl.config.models.registry import MODELS, PRESETS, choose_model, register_model
from tfdl.config.models.resnet import ResNetConfig
from tfdl.config.models.rnn import RNNConfig
from tfdl.config.models.transformer import TransformerConfig

__all__ = [
    "MODELS",
    "PRESETS",
    "CNNConfig",
    "ModelConfig",
    "Preset",
    "RNNConfig",
    "ResNetConfig",
    "TransformerConfig",
    "choose_model",
    "register_model",
]
