"""Keras layers of our own."""

from tfdl.layers.batch_normalization import BatchNormalization
from tfdl.layers.padded_shortcut import PaddedShortcut
from tfdl.layers.token_embedding import TokenEmbedding

__all__ = ["BatchNormalization", "PaddedShortcut", "TokenEmbedding"]
