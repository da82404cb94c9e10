"""Residual networks: ResNet-20 to 110 for small images, ResNet-18 to 152 for ImageNet."""

from typing import Any

import keras
from keras import layers

from tfdl.config.models.resnet import ResNetConfig
from tfdl.errors import UserError
from tfdl.layers import BatchNormalization, Dense, PaddedShortcut
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.precision import logits_dtype

# A bottleneck's last convolution has so many times the filters of its 3x3.
_EXPANSION = {"basic": 1, "bottleneck": 4}


def build(config: ResNetConfig, *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    r"""A stem, stages of residual blocks, the mean over all pixels, and one dense layer.

    Block $l$ adds to its input: $x_{l+1} = \mathrm{ReLU}(S(x_l) + F(x_l))$ (He et al., 2015,
    https://arxiv.org/abs/1512.03385). $F$ is two or three convolutions, each followed by batch normalization, with ReLU
    between them; $S$ is the identity, or the configured shortcut where a block changes the shape. The first block of
    every stage but the first has stride 2, in the 3x3 convolution of a bottleneck (v1.5).

    Padding is symmetric, as in the paper's own implementation and in PyTorch, so weights can be exchanged with them;
    TensorFlow's "same" would centre the strided kernels of even sizes half a pixel further. Convolutions begin with
    He et al.'s normal distribution over the fan-in (https://arxiv.org/abs/1502.01852, cited by the paper), truncated as
    in Keras; the dense kernel with deviation 0.01, and ``zero_gamma`` is as in Goyal et al., 2017
    (https://arxiv.org/abs/1706.02677, section 5.1).

    Args:
        config: depth, widths and switches.
        input_shape: ``(height, width, channels)``, such as ``(32, 32, 3)``.
        num_classes: number of logits.

    Returns:
        A model from images ``(batch, height, width, channels)`` to logits ``(batch, num_classes)``, in float32, or in
        float64 under that policy. It is named after its depth, ``resnet20``.

    Raises:
        UserError: the image is too small for the strides, or there is no class to tell apart.
    """
    _check_sizes(config, input_shape, num_classes)
    inputs = keras.Input(input_shape, name="image")  # (B, H, W, C)
    x = _stem(config, inputs)
    for stage, (blocks, filters) in enumerate(zip(config.blocks, config.filters, strict=True), start=1):
        for block in range(1, blocks + 1):
            strides = 2 if block == 1 and stage > 1 else 1
            x = _residual_block(config, x, filters, strides, f"stage_{stage}_block_{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (B, expansion * filters[-1])
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    logits = Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        kernel_regularizer=_l2(config),
        dtype=logits_dtype(),
        name="logits",
    )(x)
    return keras.Model(inputs, logits, name=f"resnet{config.depth}")


def _stem(config: ResNetConfig, inputs: Any) -> Any:
    filters = config.filters[0]
    if config.stem == "3x3":
        x = _convolution(config, inputs, filters, 3, 1, "stem_conv")
        x = _normalization(config, "stem_batch_normalization")(x)
        return layers.ReLU(name="stem_relu")(x)  # (B, H, W, filters)
    x = _convolution(config, inputs, filters, 7, 2, "stem_conv")
    x = _normalization(config, "stem_batch_normalization")(x)
    x = layers.ReLU(name="stem_relu")(x)  # (B, H / 2, W / 2, filters)
    x = layers.ZeroPadding2D(1, name="stem_pool_padding")(x)  # after a ReLU no maximum is below zero
    return layers.MaxPooling2D(3, 2, name="stem_pool")(x)  # (B, H / 4, W / 4, filters)


def _residual_block(config: ResNetConfig, inputs: Any, filters: int, strides: int, name: str) -> Any:
    """(B, H, W, C) to (B, H / strides, W / strides, expansion * filters)."""
    outputs = filters * _EXPANSION[config.block]
    # Filters, kernel size and strides of each convolution.
    basic = [(filters, 3, strides), (outputs, 3, 1)]
    bottleneck = [(filters, 1, 1), (filters, 3, strides), (outputs, 1, 1)]
    convolutions = basic if config.block == "basic" else bottleneck
    x = inputs
    for number, shape in enumerate(convolutions, start=1):
        last = number == len(convolutions)
        x = _convolution(config, x, *shape, f"{name}_conv_{number}")
        x = _normalization(config, f"{name}_batch_normalization_{number}", zero_gamma=config.zero_gamma and last)(x)
        if not last:
            x = layers.ReLU(name=f"{name}_relu_{number}")(x)
    x = layers.Add(name=f"{name}_add")([_shortcut(config, inputs, outputs, strides, name), x])
    return layers.ReLU(name=f"{name}_relu_{len(convolutions)}")(x)


def _shortcut(config: ResNetConfig, inputs: Any, filters: int, strides: int, name: str) -> Any:
    if strides == 1 and inputs.shape[-1] == filters:
        return inputs
    if config.shortcut == "identity":
        return PaddedShortcut(filters, strides, name=f"{name}_shortcut")(inputs)
    x = _convolution(config, inputs, filters, 1, strides, f"{name}_shortcut_conv")
    return _normalization(config, f"{name}_shortcut_batch_normalization")(x)


def _convolution(config: ResNetConfig, inputs: Any, filters: int, kernel_size: int, strides: int, name: str) -> Any:
    """A convolution without bias, which the normalization's beta stands for; (size - 1) / 2 zeros on every side."""
    padding = "same"
    if strides > 1 and kernel_size > 1:
        inputs = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_padding")(inputs)
        padding = "valid"
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=_l2(config),
        name=name,
    )(inputs)


def _normalization(config: ResNetConfig, name: str, *, zero_gamma: bool = False) -> BatchNormalization:
    return BatchNormalization(
        momentum=config.momentum,
        epsilon=config.epsilon,
        gamma_initializer="zeros" if zero_gamma else "ones",
        synchronized=config.synchronized,
        name=name,
    )


def _l2(config: ResNetConfig) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(config.l2) if config.l2 else None


def _check_sizes(config: ResNetConfig, input_shape: tuple[int, int, int], num_classes: int) -> None:
    check_image_shape(input_shape)
    check_counts(num_classes=num_classes)
    halvings = len(config.blocks) - 1 + (2 if config.stem == "7x7" else 0)
    if min(input_shape[:2]) < 2**halvings:
        smaller_stem = ", model.stem=3x3" if config.stem == "7x7" else ""
        raise UserError(
            f"images of {input_shape[0]}x{input_shape[1]} are too small for {halvings} halvings, which need at least"
            f" {2**halvings}x{2**halvings}; give fewer stages (model.blocks and model.filters){smaller_stem} or a"
            " larger dataset.image_size"
        )
