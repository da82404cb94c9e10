"""Augmentations: random changes of training images. There is one dataclass for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.choice import choose
from tfdl.config.fields import check_types
from tfdl.errors import UserError
from tfdl.registry import Registry


@dataclass(frozen=True)
class AugmentationConfig:
    """What all augmentations' configurations have in common.

    Augmentations are applied in the order in which they were registered, not in the order in which a user names them.
    Those that mix two samples come last.
    """

    name: ClassVar[str]
    mixes: ClassVar[bool] = False
    """Whether it mixes each sample with another one."""

    def __post_init__(self) -> None:
        check_types(self, "dataset.augmentation.")


@dataclass(frozen=True)
class AffineAugmentationConfig(AugmentationConfig):
    """A small rotation, zoom and shift."""

    name: ClassVar[str] = "affine"


@dataclass(frozen=True)
class CropAugmentationConfig(AugmentationConfig):
    """A crop of the image with a border around it (He et al., 2015)."""

    name: ClassVar[str] = "crop"


@dataclass(frozen=True)
class FlipAugmentationConfig(AugmentationConfig):
    """A flip of left and right."""

    name: ClassVar[str] = "flip"


@dataclass(frozen=True)
class RandAugmentAugmentationConfig(AugmentationConfig):
    """Two of fourteen changes, one after the other (Cubuk et al., 2019)."""

    name: ClassVar[str] = "randaugment"


@dataclass(frozen=True)
class EraseAugmentationConfig(AugmentationConfig):
    """A grey rectangle in half of the images (Zhong et al., 2017)."""

    name: ClassVar[str] = "erase"


@dataclass(frozen=True)
class MixupAugmentationConfig(AugmentationConfig):
    """The weighted mean of two images, with random weights (Zhang et al., 2017)."""

    name: ClassVar[str] = "mixup"
    mixes: ClassVar[bool] = True


@dataclass(frozen=True)
class CutmixAugmentationConfig(AugmentationConfig):
    """A rectangle of another image (Yun et al., 2019)."""

    name: ClassVar[str] = "cutmix"
    mixes: ClassVar[bool] = True


AUGMENTATIONS: Registry[type[AugmentationConfig]] = Registry("augmentation")
"""Every augmentation's configuration by name."""


def register_augmentation(config: type[AugmentationConfig], build: Any) -> None:
    """Declares a random change of training samples.

    Args:
        config: a frozen dataclass that derives from ``AugmentationConfig``; its ``name`` is the augmentation's name.
        build: ``"module:function"`` or the function itself: ``build(config)`` to a
            ``tfdl.data.augmentation.ImageChange`` (or, with ``mixes``, a ``tfdl.data.augmentation.ImageMix``).

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    AUGMENTATIONS.register(config.name, config, build)


def choose_augmentations(value: Any) -> tuple[AugmentationConfig, ...]:
    """Augmentations from a list of names, mappings and configurations, or from one text with commas.

    Args:
        value: ``["crop", {"name": "cutout", "size": 8}]``, ``"crop,flip"``, ``"none"`` or an empty list.

    Raises:
        UserError: an unknown name or field, an augmentation that is listed twice, or a value that is not a list.
    """
    if isinstance(value, str):
        value = [] if value == "none" else value.replace(" ", "").split(",")
    if not isinstance(value, list | tuple):
        raise UserError(f"dataset.augmentation={value!r}, expected names such as [crop, flip], or none")
    for item in value:
        if not isinstance(item, str | Mapping | AugmentationConfig):
            raise UserError(f"dataset.augmentation has {item!r}, expected a name such as crop")
    chosen = tuple(choose(AUGMENTATIONS, item, "dataset.augmentation") for item in value)
    names = [config.name for config in chosen]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"dataset.augmentation lists {name!r} {names.count(name)} times, expected it once")
    return chosen


register_augmentation(AffineAugmentationConfig, "tfdl.data.augmentation.affine:build")
register_augmentation(CropAugmentationConfig, "tfdl.data.augmentation.crop:build")
register_augmentation(FlipAugmentationConfig, "tfdl.data.augmentation.flip:build")
register_augmentation(RandAugmentAugmentationConfig, "tfdl.data.augmentation.rand_augment:build")
register_augmentation(EraseAugmentationConfig, "tfdl.data.augmentation.erase:build")
register_augmentation(MixupAugmentationConfig, "tfdl.data.augmentation.mixing:build_mixup")
register_augmentation(CutmixAugmentationConfig, "tfdl.data.augmentation.mixing:build_cutmix")
