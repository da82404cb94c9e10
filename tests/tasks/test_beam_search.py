"""Beams by hand, and translations by beams of the graph that evaluates them."""

from functools import cache, partial

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.data.tokenizers.character import CharacterTokenizer
from tfdl.tasks.beam_decoding import beam_decode
from tfdl.tasks.beam_search import extended, finished, first_beams, is_over, length_penalty
from tfdl.tasks.greedy_decoding import greedy_decode
from tfdl.tasks.translation import Translation

END = 0
LONGEST = 8


def test_the_length_penalty_of_the_paper():
    np.testing.assert_allclose(length_penalty(tf.constant([1, 7]), 0.6), [1.0, 2.0**0.6], rtol=1e-6)
    np.testing.assert_array_equal(length_penalty(tf.constant([1, 7]), 0.0), [1.0, 1.0])


def test_two_steps_by_hand():
    """Two beams over the tokens end, x and y."""
    step = tf.function(lambda *inputs: extended(*inputs, end_id=END, exponent=1.0), autograph=False)
    first = np.log([[[0.2, 0.5, 0.3]] * 2])
    beams, parents, tokens = step(first_beams(1, 2, 2), tf.constant(first), tf.constant(1))
    assert tokens.numpy().tolist() == [[1, 2]]
    assert parents.numpy().tolist() == [[0, 0]]
    np.testing.assert_allclose(beams.scores, np.log([[0.5, 0.3]]), rtol=1e-6)
    assert not np.isfinite(beams.ended_scores).any()  # the end is the third best, and there are two beams
    # The texts: "x end" 0.3, "x y" 0.15, "y end" 0.09, "y x" 0.21.
    second = np.log([[[0.6, 0.1, 0.3], [0.3, 0.7, 1e-9]]])
    beams, parents, tokens = step(beams, tf.constant(second), tf.constant(2))
    assert beams.ended_tokens.numpy()[0, 0].tolist() == [1, END]
    np.testing.assert_allclose(beams.ended_scores.numpy()[0, 0], np.log(0.3) / (7 / 6), rtol=1e-6)
    assert tokens.numpy().tolist() == [[1, 2]]
    assert parents.numpy().tolist() == [[1, 0]]
    assert beams.tokens.numpy().tolist() == [[[2, 1], [1, 2]]]
    assert not is_over(beams).numpy().any()
    ended = finished(beams, tf.constant(2), 1.0)
    assert ended.ended_tokens.numpy().tolist() == [[[1, END], [2, 1]]]
    np.testing.assert_allclose(np.exp(ended.ended_log_probabilities), [[0.3, 0.21]], rtol=1e-5)


def test_a_search_that_is_over_does_not_change():
    sure = np.log([[[0.9, 0.05, 0.05]]])
    beams, _, _ = extended(first_beams(1, 1, 3), tf.constant(sure), tf.constant(1), end_id=END, exponent=0.0)
    assert is_over(beams).numpy().all()
    later, _, _ = extended(beams, tf.constant(np.zeros((1, 1, 3))), tf.constant(2), end_id=END, exponent=0.0)
    np.testing.assert_array_equal(later.ended_tokens, [[[END, -1, -1]]])
    np.testing.assert_array_equal(later.ended_scores, beams.ended_scores)


@pytest.fixture(scope="module")
def translator():
    task = Translation(CharacterTokenizer("abcdefgh"), LONGEST)
    model = tfdl.build_model(
        "transformer", architecture="encoder-decoder", hidden_dim=16, num_heads=2, num_layers=1,
        sequence_length=LONGEST, **task.model_arguments,
    )  # fmt: skip
    generator = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(generator.normal(0, 0.7, variable.shape))
    return task, model


@pytest.fixture(scope="module")
def sources():
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, LONGEST, 12)
    return np.stack([np.pad(generator.integers(4, 12, length), (0, LONGEST - length)) for length in lengths])


@pytest.fixture(scope="module")
def decode(translator):
    """Tokens and log-probabilities, from one graph for each number of beams."""
    task, model = translator
    ids = {"start_id": task.tokenizer.start_id, "end_id": task.tokenizer.end_id, "max_length": LONGEST}

    @cache
    def graph(beams, exponent):
        search = partial(beam_decode, model, **ids, num_beams=beams, exponent=exponent)
        return tf.function(search, input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)

    def run(sources, beams, exponent=0.0):
        return [result.numpy() for result in graph(beams, exponent)(sources)]

    return run


def test_one_beam_is_greedy(translator, decode, sources):
    task, model = translator
    tokens, scores = decode(sources, beams=1)
    ids = {"start_id": task.tokenizer.start_id, "end_id": task.tokenizer.end_id, "max_length": LONGEST}
    expected, expected_scores = greedy_decode(model, tf.constant(sources, tf.int32), **ids)
    np.testing.assert_array_equal(tokens, expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-4)


def test_more_beams_find_likelier_targets(decode, sources):
    _, greedy = decode(sources, beams=1)
    tokens, scores = decode(sources, beams=4)
    assert (scores > greedy + 0.1).any()
    assert scores.mean() > greedy.mean()
    for row, score, source in zip(tokens, scores, sources, strict=True):
        (alone,), (score_alone,) = decode(source[np.newaxis, : np.count_nonzero(source)], beams=4)
        assert np.trim_zeros(row, "b").tolist() == np.trim_zeros(alone, "b").tolist()
        assert score == pytest.approx(float(score_alone), rel=1e-4)


def test_a_length_penalty_prefers_longer_targets(decode, sources):
    short, _ = decode(sources, beams=4)
    long, _ = decode(sources, beams=4, exponent=3.0)
    assert np.count_nonzero(long) > np.count_nonzero(short)


def test_the_task_searches_when_it_is_asked_to(translator, sources):
    task, model = translator
    batch = {"source": tf.constant(sources, tf.int32)}
    task = Translation(task.tokenizer, LONGEST)
    greedy = task.decoded_rows(model, batch)["translation"].numpy()
    num_together = task.decoding_batch_size
    task.search_with(4, 0.6)
    searched = task.decoded_rows(model, batch)["translation"].numpy()
    assert (greedy != searched).any()
    assert task.decoding_batch_size == num_together // 4
