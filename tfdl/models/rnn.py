"""Recurrent networks on tokens, by what they answer."""

import keras

from tfdl.config.models.rnn import RNNConfig
from tfdl.models.rnn_classifier import RNNClassifier
from tfdl.models.rnn_language_model import RNNLanguageModel


def build(config: RNNConfig, *, vocab_size: int, num_classes: int | None = None) -> keras.Model:
    """A language model, or with ``num_classes`` a classifier of whole texts.

    Raises:
        UserError: a vocabulary or classes that cannot be, or a language model that would read from both ends.
    """
    if num_classes is None:
        return RNNLanguageModel(config, vocab_size)
    return RNNClassifier(config, vocab_size, num_classes)
