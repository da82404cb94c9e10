"""Samplers against hand-computed values and transformers' processors."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.config import choose_samplers
from tfdl.inference.generation.samplers.chain import SamplerChain, draw

LOGITS = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]]))
HISTORY = np.array([[0, -1, 3], [-1, -1, -1]], np.int32)


def scores_of(samplers, logits=LOGITS, history=HISTORY):
    chain = SamplerChain(choose_samplers(samplers))
    return tf.function(chain.scores)(tf.constant(logits), tf.constant(history)).numpy()


HAND = [
    ({"name": "top_k", "k": 2}, [[1, 1, 0, 0], [0, 0, 1, 1]]),
    ({"name": "top_k", "k": 9}, [[1, 1, 1, 1], [1, 1, 1, 1]]),
    ({"name": "top_p", "p": 0.79}, [[1, 1, 0, 0], [0, 1, 1, 1]]),
    ({"name": "top_p", "p": 0.01}, [[1, 0, 0, 0], [0, 0, 0, 1]]),
    ({"name": "min_p", "p": 0.31}, [[1, 1, 0, 0], [0, 1, 1, 1]]),
    ("greedy", [[1, 0, 0, 0], [0, 0, 0, 1]]),
    ([{"name": "top_k", "k": 3}, {"name": "top_p", "p": 0.8}], [[1, 1, 0, 0], [0, 1, 1, 1]]),
]


@pytest.mark.parametrize(("samplers", "kept"), HAND, ids=str)
def test_what_a_sampler_keeps(samplers, kept):
    np.testing.assert_array_equal(scores_of(samplers), np.where(kept, LOGITS, -np.inf))


def test_temperature():
    found = scores_of({"name": "random", "temperature": 0.5})
    np.testing.assert_allclose(found, LOGITS * 2)


def test_repetition_penalty():
    """Tokens 0 and 3 of the first row were used; the second row has no history."""
    logits = np.array([[2.0, 1.0, 0.0, -1.0], [2.0, 1.0, 0.0, -1.0]])
    found = scores_of({"name": "repetition_penalty", "penalty": 2.0}, logits)
    np.testing.assert_array_equal(found, [[1.0, 1.0, 0.0, -2.0], logits[1]])


def test_the_rules_are_transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (20, 200)).astype(np.float32)
    history = generator.integers(0, 200, (20, 30)).astype(np.int32)
    samplers = [
        {"name": "repetition_penalty", "penalty": 1.3},
        {"name": "random", "temperature": 0.7},
        {"name": "top_k", "k": 60},
        {"name": "top_p", "p": 0.93},
        {"name": "min_p", "p": 0.02},
    ]
    references = [
        process.RepetitionPenaltyLogitsProcessor(1.3),
        process.TemperatureLogitsWarper(0.7),
        process.TopKLogitsWarper(60),
        process.TopPLogitsWarper(0.93),
        process.MinPLogitsWarper(0.02),
    ]
    expected = torch.tensor(logits)
    for number, reference in enumerate(references, start=1):
        expected = reference(torch.tensor(history, dtype=torch.int64), expected)
        found = scores_of(samplers[:number], logits, history)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert 1 < np.isfinite(found).sum(-1).max() < 60  # every sampler has done something


def test_a_draw_is_the_inverse_of_the_cumulative_distribution():
    scores = np.log(np.array([[0.25, 1e-30, 0.5, 0.25]] * 5, np.float32))
    scores[:, 1] = -np.inf
    uniforms = np.array([0.0, 0.2499, 0.2501, 0.7501, 1 - 2**-53])
    assert draw(tf.constant(scores), tf.constant(uniforms)).numpy().tolist() == [0, 0, 2, 3, 3]


def test_only_chains_that_draw_need_random_numbers():
    assert not SamplerChain().draws
    assert not SamplerChain(choose_samplers("greedy")).draws
    assert not SamplerChain(choose_samplers("repetition_penalty")).draws
    assert SamplerChain(choose_samplers(["repetition_penalty", "top_k"])).draws
