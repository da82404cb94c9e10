"""One configuration for each model family, and the papers' models as presets."""

from tfdl.config.models.base import ModelConfig, Preset
from tfdl.config.models.cnn import CNNConfig
from tfdl.config.models.registry import MODEL_CONFIGS, PRESETS, choose_model
from tfdl.config.models.resnet import ResNetConfig

__all__ = ["MODEL_CONFIGS", "PRESETS", "CNNConfig", "ModelConfig", "Preset", "ResNetConfig", "choose_model"]
