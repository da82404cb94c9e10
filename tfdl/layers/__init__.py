"""Keras layers of our own."""

from tfdl.layers.batch_normalization import BatchNormalization

__all__ = ["BatchNormalization"]
