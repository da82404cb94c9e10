"""Greedy decoding in a graph with a cache, against a loop that computes everything anew for one source at a time."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.tasks.greedy_decoding import greedy_decode

START = 1
END = 2
VOCAB = 12
LONGEST = 10
SIZES = {"hidden_dim": 16, "num_heads": 2, "num_layers": 2, "sequence_length": LONGEST, "tie_embeddings": False}
TOKENS = tf.TensorSpec([None, None], tf.int32)


class Decoder:
    """A model whose every weight is large and random, so that it writes targets of many lengths."""

    def __init__(self, positions):
        self.model = tfdl.build_model(
            "transformer", architecture="encoder-decoder", positions=positions, vocab_size=VOCAB, **SIZES
        )
        generator = np.random.default_rng(3)
        for variable in self.model.trainable_variables:
            if len(variable.shape) > 1:
                variable.assign(generator.normal(0, 0.8, variable.shape))
        kernel = self.model.head.kernel.numpy()
        self.model.head.kernel.assign(np.where(np.arange(VOCAB) == END, 2 * kernel, kernel))  # often the best, or last
        self._graphs = {
            length: tf.function(partial(self.without_a_graph, max_length=length), input_signature=[TOKENS])
            for length in (3, LONGEST)
        }
        self._next = tf.function(
            lambda source, target: tf.nn.log_softmax(self.model({"source": source, "target": target})[0, -1]),
            input_signature=[TOKENS, TOKENS],
        )

    def without_a_graph(self, source, max_length):
        return greedy_decode(self.model, source, start_id=START, end_id=END, max_length=max_length)

    def __call__(self, source, max_length=LONGEST):
        return [value.numpy() for value in self._graphs[max_length](source)]

    def naive(self, source):
        """The definition: the whole target so far goes through the model again for each token."""
        source = source[source != 0][np.newaxis]
        tokens = [START]
        score = 0.0
        while len(tokens) <= LONGEST and tokens[-1] != END:
            log_probabilities = self._next(source, np.array([tokens], np.int32)).numpy()
            tokens.append(int(log_probabilities.argmax()))
            score += float(log_probabilities.max())
        return tokens[1:], score


@pytest.fixture(scope="module")
def sources():
    generator = np.random.default_rng(0)
    texts = [generator.integers(3, VOCAB, length) for length in generator.integers(1, 9, 20)]
    return np.array([np.pad(text, (0, 9 - len(text))) for text in texts], np.int32)


@pytest.fixture(scope="module", params=["learned", "rotary"])
def decode(request):
    return Decoder(request.param)


@pytest.fixture(scope="module")
def expected(decode, sources):
    return [decode.naive(source) for source in sources]


def test_it_is_the_naive_loop(decode, sources, expected):
    tokens, scores = decode(sources)
    for row, score, (wanted, wanted_score) in zip(tokens, scores, expected, strict=True):
        assert row.tolist() == wanted + [0] * (tokens.shape[1] - len(wanted))
        assert score == pytest.approx(wanted_score, rel=1e-4, abs=1e-4)
    lengths = {len(wanted) for wanted, _ in expected}
    assert len(lengths) > 3  # otherwise this would show little
    assert any(wanted[-1] != END for wanted, _ in expected)  # some come to no end


def test_one_by_one_equals_together(decode, sources):
    tokens, scores = decode(sources)
    for row, score, source in zip(tokens, scores, sources, strict=True):
        (alone,), (score_alone,) = decode(source[np.newaxis, : np.count_nonzero(source)])
        assert row[: len(alone)].tolist() == alone.tolist()
        assert not row[len(alone) :].any()
        assert score == pytest.approx(float(score_alone), rel=1e-4, abs=1e-4)


def test_it_stops_when_all_have_ended(decode, sources, expected):
    lengths = np.array([len(wanted) for wanted, _ in expected])
    longest = int(np.sort(lengths)[3])
    tokens, _ = decode(sources[lengths <= longest])
    assert tokens.shape[1] == longest < LONGEST


def test_no_more_tokens_than_asked_for(decode, sources):
    whole, _ = decode(sources)
    tokens, _ = decode(sources, 3)
    np.testing.assert_array_equal(tokens, whole[:, :3])


def test_without_a_graph_it_is_the_same(decode, sources):
    tokens, scores = decode.without_a_graph(tf.constant(sources[:5]), LONGEST)
    expected, expected_scores = decode(sources[:5])
    np.testing.assert_array_equal(tokens, expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-4, atol=1e-4)
