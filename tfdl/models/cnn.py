"""The convolutional network of textbooks, with batch normalization."""

from typing import Any

import keras
from keras import layers

from tfdl.config import CNNConfig
from tfdl.errors import UserError
from tfdl.layers import BatchNormalization, Dense
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.precision import logits_dtype


def build(config: CNNConfig, *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds a stack of convolution blocks, followed by two dense layers.

    Each block is a convolution with padding "same", batch normalization, ReLU and a 2x2 max pooling that halves height
    and width. With ``batch_normalization=False`` it is the plain network of the textbooks: 3x3x32, pool, 3x3x64, pool,
    dense 128, dense ``num_classes``.

    Args:
        config: widths and switches.
        input_shape: ``(height, width, channels)``, such as ``(24, 24, 3)``.
        num_classes: number of logits.

    Returns:
        A model from images ``(batch, height, width, channels)`` to logits ``(batch, num_classes)``. The logits are
        float32, or float64 under that policy.

    Raises:
        UserError: the image is too small for the pools, or ``num_classes`` is below 1.
    """
    _check_sizes(config, input_shape, num_classes)
    inputs = keras.Input(input_shape, name="image")  # (batch, height, width, channels)
    x = inputs
    for number, filters in enumerate(config.filters, start=1):
        x = _block(config, x, filters, number)  # (batch, height / 2^number, width / 2^number, filters)
    x = layers.Flatten(name="flatten")(x)  # (batch, height * width * filters)
    x = Dense(
        config.units, activation="relu", kernel_initializer="he_normal", kernel_regularizer=_l2(config), name="hidden"
    )(x)  # (batch, units)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    # (batch, num_classes)
    logits = Dense(num_classes, kernel_regularizer=_l2(config), dtype=logits_dtype(), name="logits")(x)
    return keras.Model(inputs, logits, name="cnn")


def _block(config: CNNConfig, inputs: Any, filters: int, number: int) -> Any:
    """(batch, height, width, channels) to (batch, height / 2, width / 2, filters)."""
    x = layers.Conv2D(
        filters,
        config.kernel_size,
        padding="same",
        use_bias=not config.batch_normalization,  # batch normalization has a bias already, its beta
        kernel_initializer="he_normal",
        kernel_regularizer=_l2(config),
        name=f"conv_{number}",
    )(inputs)  # (batch, height, width, filters)
    if config.batch_normalization:
        x = BatchNormalization(
            momentum=config.momentum, synchronized=config.synchronized, name=f"batch_normalization_{number}"
        )(x)
    x = layers.ReLU(name=f"relu_{number}")(x)
    return layers.MaxPooling2D(name=f"pool_{number}")(x)  # (batch, height / 2, width / 2, filters)


def _l2(config: CNNConfig) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(config.l2) if config.l2 else None


def _check_sizes(config: CNNConfig, input_shape: tuple[int, int, int], num_classes: int) -> None:
    check_image_shape(input_shape)
    check_counts(num_classes=num_classes)
    height, width, _ = input_shape
    pools = len(config.filters)
    smallest = 2**pools
    if min(height, width) < smallest:
        raise UserError(
            f"images of {height}x{width} are too small for {pools} pools, which need at least {smallest}x{smallest};"
            " give fewer model.filters or a larger dataset.image_size (--image-size)"
        )
