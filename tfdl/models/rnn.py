"""Recurrent networks on tokens: a language model or a classifier."""

import keras

from tfdl.config.models.rnn import RNNConfig
from tfdl.models.rnn_classifier import RNNClassifier
from tfdl.models.rnn_language_model import RNNLanguageModel


def build(config: RNNConfig, *, vocab_size: int, num_classes: int | None = None) -> keras.Model:
    """Builds a language model, or with ``num_classes`` a classifier of whole texts.

    Args:
        config: cell, sizes and switches.
        vocab_size: number of tokens.
        num_classes: number of classes, for a classifier.

    Returns:
        See ``RNNLanguageModel`` and ``RNNClassifier``.

    Raises:
        UserError: ``vocab_size`` or ``num_classes`` below 1, or a bidirectional language model.
    """
    if num_classes is None:
        return RNNLanguageModel(config, vocab_size)
    return RNNClassifier(config, vocab_size, num_classes)
