"""Keras layers."""

from tfdl.layers.batch_normalization import BatchNormalization
from tfdl.layers.cross_attention import CrossAttention
from tfdl.layers.dense import Dense
from tfdl.layers.feed_forward import FeedForward
from tfdl.layers.gru import GRU
from tfdl.layers.layer_normalization import LayerNormalization
from tfdl.layers.lstm import LSTM
from tfdl.layers.padded_shortcut import PaddedShortcut
from tfdl.layers.position_embedding import PositionEmbedding, SinusoidalPositionEmbedding
from tfdl.layers.rms_normalization import RMSNormalization
from tfdl.layers.rotary_embedding import RotaryEmbedding
from tfdl.layers.segment_embedding import SegmentEmbedding
from tfdl.layers.self_attention import SelfAttention
from tfdl.layers.simple_rnn import SimpleRNN
from tfdl.layers.token_embedding import TokenEmbedding
from tfdl.layers.transformer_block import TransformerBlock

__all__ = [
    "GRU",
    "LSTM",
    "BatchNormalization",
    "CrossAttention",
    "Dense",
    "FeedForward",
    "LayerNormalization",
    "PaddedShortcut",
    "PositionEmbedding",
    "RMSNormalization",
    "RotaryEmbedding",
    "SegmentEmbedding",
    "SelfAttention",
    "SimpleRNN",
    "SinusoidalPositionEmbedding",
    "TokenEmbedding",
    "TransformerBlock",
]
