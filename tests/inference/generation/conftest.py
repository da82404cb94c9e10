"""Small models of every kind that write texts, with weights so large that each token matters."""

import keras
import numpy as np
import pytest

import tfdl
from tfdl.data.tokenizers.character import CharacterTokenizer
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.translation import Translation

LETTERS = "abcdefgh"
LONGEST = 160
TRANSFORMER = {"hidden_dim": 16, "num_heads": 2, "num_layers": 2, "sequence_length": LONGEST}


def randomized(model, seed=3, scale=0.7):
    """Gives every weight a large random value."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(generator.normal(0, scale, variable.shape))
    return model


def keras_language_model(vocab_size):
    """A causal model of plain Keras layers: each token sees the two before it."""
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(vocab_size, 16)(tokens)
    x = keras.layers.Conv1D(16, 3, padding="causal", activation="tanh")(x)
    return keras.Model(tokens, keras.layers.Dense(vocab_size)(x))


@pytest.fixture(scope="session")
def tokenizer():
    return CharacterTokenizer(LETTERS)


def build(kind, vocab_size):
    if kind == "keras":
        return keras_language_model(vocab_size)
    if kind == "lstm":
        return tfdl.build_model("rnn", vocab_size=vocab_size, units=16)
    return tfdl.build_model("transformer", vocab_size=vocab_size, positions=kind, tie_embeddings=False, **TRANSFORMER)


@pytest.fixture(scope="session", params=["learned", "rotary", "lstm", "keras"])
def language_model(request, tokenizer):
    """A model and its task."""
    scale = 1.5 if request.param == "lstm" else 0.7
    return randomized(build(request.param, tokenizer.vocab_size), scale=scale), LanguageModeling(tokenizer, LONGEST)


@pytest.fixture(scope="session")
def decoder(tokenizer):
    """A decoder with learned positions that writes long texts, and its task."""
    model = randomized(build("learned", tokenizer.vocab_size))
    # The first value of a hidden vector is nearly constant; it lowers the scores of the special tokens.
    model.final_norm.beta.assign(np.eye(16, dtype=np.float32)[0] * 10)
    kernel = model.head.kernel.numpy()
    kernel[0] = -0.5 * (np.arange(tokenizer.vocab_size) < 4)
    model.head.kernel.assign(kernel)
    return model, LanguageModeling(tokenizer, LONGEST)


@pytest.fixture(scope="session")
def translator(tokenizer):
    """An encoder-decoder and its task."""
    model = tfdl.build_model(
        "transformer",
        architecture="encoder-decoder",
        vocab_size=tokenizer.vocab_size,
        **{**TRANSFORMER, "num_layers": 1, "sequence_length": 12},
    )
    return randomized(model), Translation(tokenizer, 12)


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
