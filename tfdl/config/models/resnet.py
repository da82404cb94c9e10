"""The configuration of residual networks, and the papers' networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.models.base import ModelConfig, Preset


@dataclass(frozen=True)
class ResNetConfig(ModelConfig):
    """Stages of residual blocks, for small images by default (ResNet-20)."""

    name: ClassVar[str] = "resnet"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)
    example_data: ClassVar[Mapping[str, Any]] = {"input_shape": (32, 32, 3), "num_classes": 10}

    stem: Literal["3x3", "7x7"] = "3x3"
    """Before the stages: a 3x3 convolution, or a 7x7 of stride 2 and a 3x3 max pooling of stride 2 for large images."""
    block: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3 and a 1x1 with four times the filters."""
    blocks: tuple[int, ...] = (3, 3, 3)
    """Residual blocks in each stage; every stage but the first halves height and width."""
    filters: tuple[int, ...] = (16, 32, 64)
    """Output channels of the 3x3 convolutions in each stage; the stem has the first stage's."""
    shortcut: Literal["identity", "projection"] = "identity"
    """The shortcut of a block that changes the shape: every second pixel, with zeros for the new channels (the paper's
    option A), or a 1x1 convolution with batch normalization (option B)."""
    zero_gamma: bool = False
    """Whether the last normalization of each block starts with gamma 0, so that every block starts as its shortcut."""
    dropout: float = 0.0
    """Probability that a pooled feature is dropped before the logits while training."""
    l2: float = 0.0
    """Weight of the L2 penalty (the sum of squares) on convolution and dense kernels, added to the loss."""
    momentum: float = 0.9
    """Fraction of the old moving statistics that each step keeps."""
    epsilon: float = 1e-5
    """Added to the variance."""
    synchronized: bool = True
    """Whether batch statistics are those of all ranks' samples; no difference on 1 rank."""

    def __post_init__(self) -> None:
        check_types(self, "model.")
        require(len(self.blocks) > 0, "model.blocks", self.blocks, "at least one stage, such as [3, 3, 3]")
        require(min(self.blocks) > 0, "model.blocks", self.blocks, "at least one block in each stage")
        stages = len(self.blocks)
        expected = f"one channel count for each of the {stages} stages of model.blocks={list(self.blocks)}"
        require(len(self.filters) == stages, "model.filters", self.filters, expected)
        require(min(self.filters) > 0, "model.filters", self.filters, "positive channel counts")
        grows = all(before <= after for before, after in pairwise(self.filters))
        expected = "channel counts that never fall, which identity shortcuts need (or model.shortcut=projection)"
        require(grows or self.shortcut == "projection", "model.filters", self.filters, expected)
        require_at_least(self, "model.", 0, "l2")
        require(0 < self.epsilon < 1, "model.epsilon", self.epsilon, "a small number above 0, such as 1e-5")
        require_fraction(self, "model.", "dropout", "momentum")

    @property
    def depth(self) -> int:
        """Layers with weights, as papers count them: projections are left out."""
        layers_of_block = 2 if self.block == "basic" else 3
        return 2 + sum(self.blocks) * layers_of_block


_PAPER = "He et al. 2015, arXiv:1512.03385"


def _small(blocks: int, parameters: int) -> Preset:
    return Preset(
        f"resnet{6 * blocks + 2}",
        ResNetConfig,
        f"{_PAPER}, section 4.2 and table 6",
        parameters,
        fields={"blocks": (blocks, blocks, blocks)},
        data={"input_shape": (32, 32, 3), "num_classes": 10},
    )


def _imagenet(name: str, block: str, blocks: tuple[int, ...], parameters: int, source: str = "table 1") -> Preset:
    return Preset(
        name,
        ResNetConfig,
        f"{_PAPER}, {source}",
        parameters,
        fields={
            "stem": "7x7", "block": block, "blocks": blocks, "filters": (64, 128, 256, 512), "shortcut": "projection",
        },
        data={"input_shape": (224, 224, 3), "num_classes": 1000},
    )  # fmt: skip


_V1_5 = "table 1, with the stride in the 3x3 convolution (known as v1.5)"

RESNET_PRESETS = (
    _small(3, parameters=269_722),
    _small(5, parameters=464_154),
    _small(7, parameters=658_586),
    _small(9, parameters=853_018),
    _small(18, parameters=1_727_962),
    _imagenet("resnet18", "basic", (2, 2, 2, 2), parameters=11_689_512),
    _imagenet("resnet34", "basic", (3, 4, 6, 3), parameters=21_797_672),
    _imagenet("resnet50", "bottleneck", (3, 4, 6, 3), parameters=25_557_032, source=_V1_5),
    _imagenet("resnet101", "bottleneck", (3, 4, 23, 3), parameters=44_549_160, source=_V1_5),
    _imagenet("resnet152", "bottleneck", (3, 8, 36, 3), parameters=60_192_808, source=_V1_5),
)
