"""The layers of a recurrent network, as its configuration wants them. They compute in the current precision."""

from typing import Any

import keras

from tfdl.config.models.rnn import RNNConfig
from tfdl.layers import GRU, LSTM, Dense, SimpleRNN, TokenEmbedding
from tfdl.layers.recurrent import Recurrent
from tfdl.models.precision import logits_dtype

_CELLS = {"lstm": LSTM, "gru": GRU, "simple": SimpleRNN}


def build_token_embedding(config: RNNConfig, vocab_size: int) -> TokenEmbedding:
    """The table of token vectors."""
    initializer = _uniform(config, keras.initializers.RandomUniform(-0.05, 0.05))
    return TokenEmbedding(vocab_size, config.embedding_dim or config.units, initializer, name="token_embedding")


def build_directions(config: RNNConfig, number: int) -> list[Recurrent]:
    """One level of the stack: a layer from the start to the end, and perhaps one the other way."""
    if not config.bidirectional:
        return [build_recurrent(config, f"{config.cell}_{number}")]
    return [build_recurrent(config, f"{config.cell}_{number}_{way}") for way in ("forward", "backward")]


def build_recurrent(config: RNNConfig, name: str) -> Recurrent:
    """One recurrent layer; with ``init_scale`` all of its weights begin as Zaremba et al.'s, forget gates included."""
    own: dict[str, Any] = {}
    if config.init_scale is not None:
        own = {f"{weight}_initializer": _uniform(config, None) for weight in ("kernel", "recurrent", "bias")}
        own |= {"forget_bias": 0.0} if config.cell == "lstm" else {}
    dropped = config.dropout if config.variational else 0.0
    return _CELLS[config.cell](config.units, recurrent_dropout=dropped, name=name, **own)


def build_dropout(config: RNNConfig, name: str) -> Any:
    """On ``(B, T, D)``: at each step anew, or the same at all steps of a sequence."""
    shape = (None, 1, None) if config.variational else None
    return keras.layers.Dropout(config.dropout, noise_shape=shape, name=name)


def build_head(config: RNNConfig, outputs: int) -> Dense:
    """A dense layer of logits."""
    kernel, bias = _uniform(config, "glorot_uniform"), _uniform(config, "zeros")
    return Dense(outputs, kernel_initializer=kernel, bias_initializer=bias, dtype=logits_dtype(), name="logits")


def _uniform(config: RNNConfig, otherwise: Any) -> Any:
    scale = config.init_scale
    return otherwise if scale is None else keras.initializers.RandomUniform(-scale, scale)
