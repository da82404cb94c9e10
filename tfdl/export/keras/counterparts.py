"""Keras's layers in place of tfdl's, where one layer computes the same."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfdl.layers import BatchNormalization, LayerNormalization, PaddedShortcut, RMSNormalization
from tfdl.layers.patch_embedding import ClassToken, PatchEmbedding


def apply(layer: keras.layers.Layer, weights: Sequence[Any], inputs: Any) -> Any:
    """Calls a new layer, which builds it, and gives it weights.

    Args:
        layer: of Keras.
        weights: values in the order of ``layer.weights``.
        inputs: symbolic tensors.
    """
    outputs = layer(inputs)
    layer.set_weights([np.asarray(value) for value in weights])
    return outputs


def dense(layer: Any, inputs: Any, name: str | None = None) -> Any:
    """``keras.layers.Dense``.

    Args:
        layer: a ``tfdl.layers.Dense`` without an update of low rank.
        inputs: ``(..., dim)``.
        name: of the new layer. Defaults to the old one's.
    """
    return apply(new_dense(layer, name), layer.weights, inputs)


def new_dense(layer: Any, name: str | None = None) -> keras.layers.Dense:
    """The layer of ``dense``, not yet built.

    Args:
        layer: a ``tfdl.layers.Dense`` without an update of low rank.
        name: of the new layer. Defaults to the old one's.
    """
    return keras.layers.Dense(
        layer.units,
        activation=layer.activation,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.kernel_regularizer,
        name=name or layer.name,
        trainable=layer.trainable,
    )


def batch_normalization(layer: BatchNormalization, inputs: Any, **_: Any) -> Any:
    """``keras.layers.BatchNormalization``, whose statistics are those of one process.

    Args:
        layer: of tfdl.
        inputs: as for the layer.
    """
    plain = keras.layers.BatchNormalization(
        axis=layer.axis,
        momentum=layer.momentum,
        epsilon=layer.epsilon,
        center=layer.center,
        scale=layer.scale,
        name=layer.name,
        trainable=layer.trainable,
    )
    return apply(plain, layer.weights, inputs)


def normalization(layer: LayerNormalization | RMSNormalization, inputs: Any, name: str | None = None) -> Any:
    """``keras.layers.LayerNormalization`` or ``RMSNormalization``.

    Args:
        layer: of tfdl.
        inputs: ``(..., dim)``.
        name: of the new layer. Defaults to the old one's.
    """
    options = {"epsilon": layer.epsilon, "name": name or layer.name, "trainable": layer.trainable}
    if isinstance(layer, LayerNormalization):
        plain = keras.layers.LayerNormalization(center=layer.center, scale=layer.scale, **options)
        return apply(plain, layer.weights, inputs)
    # Keras's layer always has a gamma.
    gamma = np.ones(inputs.shape[-1], np.float32) if layer.gamma is None else layer.gamma
    return apply(keras.layers.RMSNormalization(**options), [gamma], inputs)


def padded_shortcut(layer: PaddedShortcut, inputs: Any) -> Any:
    """A pooling of single pixels, and channels of zeros.

    Args:
        layer: of tfdl.
        inputs: ``(batch, height, width, channels)``.
    """
    pixels = keras.layers.MaxPooling2D(1, layer.strides, name=layer.name)(inputs)
    new_channels = layer.filters - inputs.shape[-1]
    return ops.pad(pixels, [[0, 0], [0, 0], [0, 0], [0, new_channels]])


def patch_embedding(layer: PatchEmbedding, inputs: Any) -> Any:
    """A convolution whose stride is its size.

    Args:
        layer: of tfdl.
        inputs: ``(batch, height, width, channels)``.
    """
    side = layer.patch_size
    kernel = np.asarray(layer.projection.kernel).reshape(side, side, inputs.shape[-1], layer.hidden_dim)
    convolution = keras.layers.Conv2D(layer.hidden_dim, side, side, name=layer.name, trainable=layer.trainable)
    patches = apply(convolution, [kernel, layer.projection.bias], inputs)  # (batch, rows, columns, hidden_dim)
    return keras.layers.Reshape((-1, layer.hidden_dim), name=f"{layer.name}_patches")(patches)


def class_token(layer: ClassToken, inputs: Any) -> Any:
    """An embedding of a single token before the patches.

    Args:
        layer: of tfdl.
        inputs: ``(batch, patches, dim)``.
    """
    zeros = ops.zeros_like(inputs[:, :1, 0], dtype="int32")  # (batch, 1)
    embedding = keras.layers.Embedding(1, inputs.shape[-1], name=layer.name, trainable=layer.trainable)
    token = apply(embedding, [np.asarray(layer.token)[np.newaxis]], zeros)  # (batch, 1, dim)
    return ops.concatenate([token, inputs], 1)  # (batch, 1 + patches, dim)
