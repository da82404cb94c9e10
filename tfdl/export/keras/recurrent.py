"""Recurrent layers, and the layers around them in classifiers of texts."""

from typing import Any

import keras
from keras import ops

from tfdl.export.keras.counterparts import apply
from tfdl.export.keras.texts import positions_of
from tfdl.layers import GRU, LSTM, SimpleRNN
from tfdl.layers.padding import PADDING
from tfdl.layers.recurrent import Recurrent
from tfdl.models.rnn_classifier import FinalStates, ReversedText, TextLengths

_PLAIN = {LSTM: keras.layers.LSTM, GRU: keras.layers.GRU, SimpleRNN: keras.layers.SimpleRNN}


def recurrent(layer: Recurrent, inputs: Any, state: None = None, **_: Any) -> Any:  # noqa: ARG001
    """Keras's layer of the same name, with the same weights.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        state: none.

    Returns:
        The outputs of all steps, and the last state.
    """
    plain = _PLAIN[type(layer)](
        layer.units,
        recurrent_dropout=layer.recurrent_dropout,
        return_sequences=True,
        return_state=True,
        name=layer.name,
        trainable=layer.trainable,
    )
    outputs, *last_state = apply(plain, layer.weights, inputs)
    return outputs, tuple(last_state)


def text_lengths(layer: TextLengths, inputs: Any) -> Any:  # noqa: ARG001
    """The number of tokens before the padding, at least 1, ``(batch,)``.

    Args:
        layer: of tfdl.
        inputs: tokens ``(batch, time)``.
    """
    lengths_at = positions_of(inputs) + 1  # (1, time)
    real_lengths = ops.where(ops.not_equal(inputs, PADDING), lengths_at, 0)  # (batch, time)
    return ops.maximum(ops.max(real_lengths, axis=1), 1)


def reversed_text(layer: ReversedText, inputs: Any, lengths: Any) -> Any:  # noqa: ARG001
    """Reverses the first steps of each text.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, dim)``.
        lengths: ``(batch,)``.
    """
    positions = positions_of(inputs)  # (1, time)
    last = ops.expand_dims(lengths, -1) - 1  # (batch, 1)
    steps = ops.where(positions <= last, last - positions, positions)  # (batch, time)
    return ops.take_along_axis(inputs, ops.expand_dims(steps, -1), axis=1)


def final_states(layer: FinalStates, inputs: Any, lengths: Any) -> Any:  # noqa: ARG001
    """The step at the end of each text, ``(batch, units)``.

    Args:
        layer: of tfdl.
        inputs: ``(batch, time, units)``.
        lengths: ``(batch,)``.
    """
    last = ops.expand_dims(lengths - 1, (1, 2))  # (batch, 1, 1)
    return ops.squeeze(ops.take_along_axis(inputs, last, axis=1), axis=1)
