"""Builds the layers of a recurrent network from its configuration. They compute in the current precision."""

from typing import Any

import keras

from tfdl.config.models.rnn import RNNConfig
from tfdl.layers import GRU, LSTM, Dense, SimpleRNN, TokenEmbedding
from tfdl.layers.recurrent import Recurrent
from tfdl.models.precision import logits_dtype

_CELLS = {"lstm": LSTM, "gru": GRU, "simple": SimpleRNN}


def build_token_embedding(config: RNNConfig, vocab_size: int) -> TokenEmbedding:
    """Builds the table of token vectors.

    Args:
        config: configuration of the network.
        vocab_size: number of tokens.
    """
    initializer = _initializer(config, default=keras.initializers.RandomUniform(-0.05, 0.05))
    return TokenEmbedding(vocab_size, config.embedding_dim or config.units, initializer, name="token_embedding")


def build_directions(config: RNNConfig, number: int) -> list[Recurrent]:
    """Builds one level of the stack: a forward layer, and a backward layer if the network is bidirectional.

    Args:
        config: configuration of the network.
        number: number of the level, from 1.
    """
    if not config.bidirectional:
        return [build_recurrent(config, f"{config.cell}_{number}")]
    return [build_recurrent(config, f"{config.cell}_{number}_{direction}") for direction in ("forward", "backward")]


def build_recurrent(config: RNNConfig, name: str) -> Recurrent:
    """Builds one recurrent layer.

    With ``init_scale`` all of its weights start as in Zaremba et al., including the biases of the forget gates.

    Args:
        config: configuration of the network.
        name: of the layer.
    """
    arguments: dict[str, Any] = {}
    if config.init_scale is not None:
        for weight in ("kernel", "recurrent", "bias"):
            arguments[f"{weight}_initializer"] = _initializer(config, default=None)
        if config.cell == "lstm":
            arguments["forget_bias"] = 0.0
    recurrent_dropout = config.dropout if config.variational else 0.0
    cell = _CELLS[config.cell]
    return cell(config.units, recurrent_dropout=recurrent_dropout, name=name, **arguments)


def build_dropout(config: RNNConfig, name: str) -> Any:
    """Builds dropout on ``(batch, time, dim)``, drawn for each step, or with ``variational`` once for all steps.

    Args:
        config: configuration of the network.
        name: of the layer.
    """
    noise_shape = (None, 1, None) if config.variational else None
    return keras.layers.Dropout(config.dropout, noise_shape=noise_shape, name=name)


def build_head(config: RNNConfig, num_logits: int) -> Dense:
    """Builds the dense layer of logits.

    Args:
        config: configuration of the network.
        num_logits: number of logits.
    """
    return Dense(
        num_logits,
        kernel_initializer=_initializer(config, default="glorot_uniform"),
        bias_initializer=_initializer(config, default="zeros"),
        dtype=logits_dtype(),
        name="logits",
    )


def _initializer(config: RNNConfig, default: Any) -> Any:
    """A uniform distribution up to ``init_scale`` where it is set, otherwise ``default``.

    It is a new initializer each time: one Keras initializer returns the same values for the same shape.
    """
    scale = config.init_scale
    return default if scale is None else keras.initializers.RandomUniform(-scale, scale)
