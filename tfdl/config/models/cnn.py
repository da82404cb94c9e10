"""The configuration of the convolutional network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.models.base import ModelConfig


@dataclass(frozen=True)
class CNNConfig(ModelConfig):
    """Blocks of convolution, normalization, ReLU and pooling, then two dense layers."""

    name: ClassVar[str] = "cnn"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)
    example_data: ClassVar[Mapping[str, Any]] = {"input_shape": (24, 24, 3), "num_classes": 10}

    filters: tuple[int, ...] = (32, 64)
    """Output channels of each block; every block halves height and width."""
    kernel_size: int = 3
    """Side of the square convolution kernels, in pixels."""
    units: int = 128
    """Width of the hidden dense layer."""
    dropout: float = 0.0
    """Probability that a hidden dense activation is dropped while training."""
    l2: float = 0.0
    """Weight of the L2 penalty on convolution and dense kernels, added to the loss."""
    batch_normalization: bool = True
    """Whether each convolution is followed by batch normalization."""
    momentum: float = 0.9
    """Fraction of the old moving statistics that each step keeps."""
    synchronized: bool = True
    """Whether batch statistics are those of all ranks' samples; no difference on 1 rank."""

    def __post_init__(self) -> None:
        check_types(self, "model.")
        require(len(self.filters) > 0, "model.filters", self.filters, "at least one block, such as [32, 64]")
        require(min(self.filters) > 0, "model.filters", self.filters, "positive channel counts")
        require_at_least(self, "model.", 1, "kernel_size", "units")
        require_at_least(self, "model.", 0, "l2")
        require_fraction(self, "model.", "dropout", "momentum")
