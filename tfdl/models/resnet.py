"""Residual networks: ResNet-20 to 110 for small images, ResNet-18 to 152 for ImageNet."""

from typing import Any

import keras
from keras import layers

from tfdl.config.models.resnet import ResNetConfig
from tfdl.errors import UserError
from tfdl.layers import BatchNormalization, Dense, PaddedShortcut
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.precision import logits_dtype

# The last convolution of a block has this many times the filters of its 3x3 convolutions.
_EXPANSION = {"basic": 1, "bottleneck": 4}


def build(config: ResNetConfig, *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    r"""Builds a stem, stages of residual blocks, a mean over all pixels and one dense layer.

    Block $l$ adds to its input: $x_{l+1} = \mathrm{ReLU}(S(x_l) + F(x_l))$ (He et al., 2015,
    https://arxiv.org/abs/1512.03385). $F$ is two or three convolutions, each followed by batch normalization, with ReLU
    between them. $S$ is the identity, or the configured shortcut where a block changes the shape. The first block of
    each stage after the first has stride 2; in a bottleneck its 3x3 convolution has it (v1.5).

    Padding is symmetric, as in the paper's own implementation and in PyTorch, so weights can be exchanged with them.
    TensorFlow's "same" would centre strided kernels half a pixel further on images of even sizes. Convolutions start
    with He et al.'s normal distribution over the fan-in (https://arxiv.org/abs/1502.01852, cited by the paper),
    truncated as in Keras. The dense kernel starts with standard deviation 0.01, and ``zero_gamma`` follows Goyal et
    al., 2017 (https://arxiv.org/abs/1706.02677, section 5.1).

    Args:
        config: depth, widths and switches.
        input_shape: ``(height, width, channels)``, such as ``(32, 32, 3)``.
        num_classes: number of logits.

    Returns:
        A model from images ``(batch, height, width, channels)`` to logits ``(batch, num_classes)``. The logits are
        float32, or float64 under that policy. The model's name contains its depth, such as ``resnet20``.

    Raises:
        UserError: the image is too small for the strides, or ``num_classes`` is below 1.
    """
    _check_sizes(config, input_shape, num_classes)
    inputs = keras.Input(input_shape, name="image")  # (batch, height, width, channels)
    x = _stem(config, inputs)
    for stage, (num_blocks, filters) in enumerate(zip(config.blocks, config.filters, strict=True), start=1):
        for block in range(1, num_blocks + 1):
            is_first_of_stage = block == 1 and stage > 1
            strides = 2 if is_first_of_stage else 1
            x = _residual_block(config, x, filters, strides, f"stage_{stage}_block_{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (batch, expansion * filters[-1])
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    logits = Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        kernel_regularizer=_l2(config),
        dtype=logits_dtype(),
        name="logits",
    )(x)  # (batch, num_classes)
    return keras.Model(inputs, logits, name=f"resnet{config.depth}")


def _stem(config: ResNetConfig, inputs: Any) -> Any:
    filters = config.filters[0]
    if config.stem == "3x3":
        x = _convolution(config, inputs, filters, kernel_size=3, strides=1, name="stem_conv")
        x = _normalization(config, "stem_batch_normalization")(x)
        return layers.ReLU(name="stem_relu")(x)  # (batch, height, width, filters)
    x = _convolution(config, inputs, filters, kernel_size=7, strides=2, name="stem_conv")
    x = _normalization(config, "stem_batch_normalization")(x)
    x = layers.ReLU(name="stem_relu")(x)  # (batch, height / 2, width / 2, filters)
    # Padding with zeros changes no maximum, since no value is negative after a ReLU.
    x = layers.ZeroPadding2D(1, name="stem_pool_padding")(x)
    return layers.MaxPooling2D(3, 2, name="stem_pool")(x)  # (batch, height / 4, width / 4, filters)


def _residual_block(config: ResNetConfig, inputs: Any, filters: int, strides: int, name: str) -> Any:
    """(batch, height, width, channels) to (batch, height / strides, width / strides, expansion * filters)."""
    output_filters = filters * _EXPANSION[config.block]
    # (filters, kernel_size, strides) of each convolution.
    if config.block == "basic":
        convolutions = [(filters, 3, strides), (output_filters, 3, 1)]
    else:
        convolutions = [(filters, 1, 1), (filters, 3, strides), (output_filters, 1, 1)]
    x = inputs
    for number, (conv_filters, kernel_size, conv_strides) in enumerate(convolutions, start=1):
        is_last = number == len(convolutions)
        zero_gamma = config.zero_gamma and is_last
        x = _convolution(config, x, conv_filters, kernel_size, conv_strides, f"{name}_conv_{number}")
        x = _normalization(config, f"{name}_batch_normalization_{number}", zero_gamma=zero_gamma)(x)
        if not is_last:
            x = layers.ReLU(name=f"{name}_relu_{number}")(x)
    shortcut = _shortcut(config, inputs, output_filters, strides, name)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu_{len(convolutions)}")(x)


def _shortcut(config: ResNetConfig, inputs: Any, filters: int, strides: int, name: str) -> Any:
    if strides == 1 and inputs.shape[-1] == filters:
        return inputs
    if config.shortcut == "identity":
        return PaddedShortcut(filters, strides, name=f"{name}_shortcut")(inputs)
    x = _convolution(config, inputs, filters, kernel_size=1, strides=strides, name=f"{name}_shortcut_conv")
    return _normalization(config, f"{name}_shortcut_batch_normalization")(x)


def _convolution(config: ResNetConfig, inputs: Any, filters: int, kernel_size: int, strides: int, name: str) -> Any:
    """A convolution with ``(kernel_size - 1) / 2`` zeros on every side.

    It has no bias: batch normalization follows it, and adds its beta.
    """
    padding = "same"
    if strides > 1 and kernel_size > 1:
        # With strides, "same" pads more zeros at the end than at the start.
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
    )(inputs)  # (batch, height / strides, width / strides, filters)


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
    height, width, _ = input_shape
    halvings = len(config.blocks) - 1
    smaller_stem = ""
    if config.stem == "7x7":
        halvings += 2
        smaller_stem = ", model.stem=3x3"
    smallest = 2**halvings
    if min(height, width) < smallest:
        raise UserError(
            f"images of {height}x{width} are too small for {halvings} halvings, which need at least"
            f" {smallest}x{smallest}; give fewer stages (model.blocks and model.filters){smaller_stem} or a larger"
            " dataset.image_size (--image-size)"
        )
