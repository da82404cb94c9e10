"""How a published image classifier expects its inputs: preprocessor_config.json."""

import math
from collections.abc import Mapping
from typing import Any

from tfdl.errors import UserError
from tfdl.interop.model_folder import PREPROCESSING
from tfdl.tasks.pixel_scaling import PLAIN_SCALING, PixelScaling

# 1 / 255, as files round it.
_PLAIN_FACTOR = 0.00392156862745098


def read_scaling(values: Mapping[str, Any], channels: int) -> PixelScaling:
    """Mean and deviation of each channel.

    Args:
        values: the content of preprocessor_config.json, or of timm's ``pretrained_cfg``; empty without it.
        channels: of the model's images.

    Raises:
        UserError: values that cannot be used.
    """
    if not values.get("do_normalize", True):
        return PLAIN_SCALING
    if not values.get("do_rescale", True):
        raise UserError(f"{PREPROCESSING} has do_rescale=false, expected true: images are scaled to 0 to 1")
    factor = values.get("rescale_factor", _PLAIN_FACTOR)
    if not isinstance(factor, float) or not math.isclose(factor, _PLAIN_FACTOR, rel_tol=1e-6):
        raise UserError(f"{PREPROCESSING} has rescale_factor={factor!r}, expected 1 / 255")
    mean = values.get("image_mean", values.get("mean"))
    deviation = values.get("image_std", values.get("std"))
    if mean is None and deviation is None:
        if values.get("do_normalize"):
            raise UserError(f"{PREPROCESSING} has do_normalize=true without image_mean and image_std, expected both")
        return PLAIN_SCALING
    for name, numbers in (("image_mean", mean), ("image_std", deviation)):
        fits = isinstance(numbers, list) and len(numbers) == channels
        if not fits or not all(map(_is_finite, numbers)):
            raise UserError(
                f"{PREPROCESSING} has {name}={numbers!r}, expected a number for each of the {channels} channels"
            )
    if not all(number > 0 for number in deviation):
        raise UserError(f"{PREPROCESSING} has image_std={deviation!r}, expected numbers above 0")
    return PixelScaling(tuple(map(float, mean)), tuple(map(float, deviation)))


def _is_finite(number: Any) -> bool:
    # A whole number of JSON may be too large for a float.
    return isinstance(number, int | float) and abs(number) < 1e30


def read_size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width that images are resized to; None if the file does not tell.

    Args:
        values: the content of preprocessor_config.json.
    """
    size = values.get("crop_size") if values.get("do_center_crop") else values.get("size")
    if type(size) is int and 0 < size < 10_000:
        return size, size
    if isinstance(size, dict):
        height = size.get("height", size.get("shortest_edge"))
        width = size.get("width", size.get("shortest_edge"))
        if type(height) is int and type(width) is int and 0 < height < 10_000 and 0 < width < 10_000:
            return height, width
    return None


def write_preprocessing(scaling: PixelScaling, shape: tuple[int, int, int], processor: str) -> dict[str, Any]:
    """The content of preprocessor_config.json.

    Args:
        scaling: of the task.
        shape: height, width and channels of the model's images.
        processor: the class of transformers.
    """
    height, width, _ = shape
    values: dict[str, Any] = {
        "image_processor_type": processor,
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": 2,  # bilinear
        "do_rescale": True,
        "rescale_factor": _PLAIN_FACTOR,
        "do_normalize": bool(scaling.mean),
    }
    if scaling.mean:
        values |= {"image_mean": list(scaling.mean), "image_std": list(scaling.deviation)}
    return values
