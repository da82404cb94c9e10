"""Sequence to sequence: LSTMs with teacher forcing. Padded words are masked in both texts and in the loss.

tfdl's Adam adds up the gradients of a word that occurs several times before it squares them, on any number of ranks.
Keras's Adam does that on several ranks only, so it trains embeddings differently on one rank.
"""

import keras
import numpy as np

from tfdl import distributed
from tfdl.optimizers import Adam

WORDS = 12
START, END = 1, 2
LENGTH = 6


def make_texts(random, count):
    """Texts of unequal lengths, padded with 0, and the same texts in reverse between START and END."""
    texts = np.zeros((count, LENGTH), "int64")
    reversed_texts = np.zeros((count, LENGTH + 2), "int64")
    for row in range(count):
        # The odd rows are short, so the ranks have different numbers of words.
        words = random.integers(3, WORDS, random.integers(1, 3) if row % 2 else LENGTH)
        texts[row, : len(words)] = words
        reversed_texts[row, : len(words) + 2] = [START, *words[::-1], END]
    return texts, reversed_texts


def train(world):
    texts, targets = make_texts(np.random.default_rng(11), 48)
    mine = slice(world.rank, None, world.size)

    source = keras.Input((None,), dtype="int64", name="source")
    x = keras.layers.Embedding(WORDS, 6, mask_zero=True)(source)
    _, *states = keras.layers.LSTM(8, return_state=True)(x)
    target = keras.Input((None,), dtype="int64", name="target")
    x = keras.layers.Embedding(WORDS, 6, mask_zero=True)(target)
    x = keras.layers.LSTM(8, return_sequences=True)(x, initial_state=states)
    logits = keras.layers.Dense(WORDS)(x)
    model = keras.Model([source, target], logits)

    model.compile(
        optimizer=distributed.DistributedOptimizer(Adam(1e-2)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        {"source": texts[mine], "target": targets[mine, :-1]},
        targets[mine, 1:],
        batch_size=12 // world.size,
        epochs=4,
        shuffle=False,
        callbacks=[distributed.BroadcastState(), distributed.SyncCheck(5), distributed.AverageMetrics()],
        verbose=2 if world.is_chief else 0,
    )
    return model, history.history
