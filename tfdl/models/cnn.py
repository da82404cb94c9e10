"""The article's convolutional network, with batch normalization."""

import keras
from keras import layers

from tfdl.config import CNNConfig
from tfdl.errors import UserError
from tfdl.layers import BatchNormalization, Dense
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.precision import logits_dtype


def build(config: CNNConfig, *, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A stack of blocks, then two dense layers.

    Each block is a convolution with padding "same", batch normalization, ReLU and a 2x2 max pooling that halves height
    and width. With ``batch_normalization=False`` it is the plain network of the textbooks: 3x3x32, pool, 3x3x64, pool,
    dense 128, dense ``num_classes``.

    Args:
        config: widths and switches.
        input_shape: ``(height, width, channels)``, such as ``(24, 24, 3)``.
        num_classes: number of logits.

    Returns:
        A model from images ``(batch, height, width, channels)`` to logits ``(batch, num_classes)``, in float32, or in
        float64 under that policy.

    Raises:
        UserError: the image is too small for the pools, or there is no class to tell apart.
    """
    _check_sizes(config, input_shape, num_classes)
    inputs = keras.Input(input_shape, name="image")  # (B, H, W, C)
    x = inputs
    for number, filters in enumerate(config.filters, start=1):
        x = layers.Conv2D(
            filters,
            config.kernel_size,
            padding="same",
            use_bias=not config.batch_normalization,  # the normalization's beta takes the bias's place
            kernel_initializer="he_normal",
            kernel_regularizer=_l2(config),
            name=f"conv_{number}",
        )(x)
        if config.batch_normalization:
            x = BatchNormalization(
                momentum=config.momentum, synchronized=config.synchronized, name=f"batch_normalization_{number}"
            )(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)  # (B, H / 2^number, W / 2^number, filters)
    x = layers.Flatten(name="flatten")(x)
    x = Dense(
        config.units, activation="relu", kernel_initializer="he_normal", kernel_regularizer=_l2(config), name="hidden"
    )(x)  # (B, units)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    logits = Dense(num_classes, kernel_regularizer=_l2(config), dtype=logits_dtype(), name="logits")(x)
    return keras.Model(inputs, logits, name="cnn")


def _l2(config: CNNConfig) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(config.l2) if config.l2 else None


def _check_sizes(config: CNNConfig, input_shape: tuple[int, int, int], num_classes: int) -> None:
    check_image_shape(input_shape)
    check_counts(num_classes=num_classes)
    blocks = len(config.filters)
    if min(input_shape[:2]) < 2**blocks:
        raise UserError(
            f"images of {input_shape[0]}x{input_shape[1]} are too small for {blocks} pools, which need at least"
            f" {2**blocks}x{2**blocks}; give fewer model.filters or a larger dataset.image_size"
        )
