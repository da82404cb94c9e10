"""Beam search against an exhaustive search, greedy decoding, and itself in other blocks and batches."""

from itertools import pairwise

import numpy as np
import pytest

from tests.inference.generation.conftest import log_softmax
from tfdl.errors import UserError
from tfdl.inference.generation import Generator

PROMPTS = ["a", "abcdefgh", "bad" * 25]
EXPONENT = 0.8
# Tokens of the texts of the exhaustive search.
MOST = 3


def penalty(length):
    return ((5 + length) / 6) ** EXPONENT


def all_texts(model, tokenizer, prompt):
    """Every text of at most MOST tokens, as (score, log-probability, tokens), the best one first."""
    begun = [tokenizer.end_id, *tokenizer.encode(prompt)]
    vocabulary = range(tokenizer.vocab_size)
    open_texts = {(): 0.0}
    texts = []
    for length in range(1, MOST + 1):
        logits = model.predict_on_batch(np.array([[*begun, *tokens] for tokens in open_texts]))[:, -1]
        following = log_softmax(logits)
        continued = {}
        for (tokens, total), row in zip(open_texts.items(), following, strict=True):
            for token in vocabulary:
                score = total + row[token]
                if token == tokenizer.end_id or length == MOST:
                    texts.append((score / penalty(length), score, (*tokens, token)))
                else:
                    continued[(*tokens, token)] = score
        open_texts = continued
    assert len(texts) == sum(11**before for before in range(MOST)) + 11**MOST  # 11 tokens besides the end
    return sorted(texts, reverse=True)


def test_with_enough_beams_it_is_the_exhaustive_search(decoder, tokenizer):
    model, task = decoder
    beams = tokenizer.vocab_size ** (MOST - 1)
    generator = Generator(model, task, block_size=2, batch_size=2 * beams)
    found = generator.generate(["ab", "c"], beams=beams, length_penalty=EXPONENT, max_new_tokens=MOST, num_samples=5)
    for number, prompt in enumerate(["ab", "c"]):
        expected = all_texts(model, tokenizer, prompt)[:5]
        for text, (_, log_probability, tokens) in zip(found[5 * number : 5 * number + 5], expected, strict=True):
            without_end = tuple(token for token in tokens if token != tokenizer.end_id)
            assert (text.prompt, text.tokens) == (prompt, without_end)
            assert text.log_probability == pytest.approx(log_probability, rel=1e-4)
            assert text.finish == ("end" if tokens[-1] == tokenizer.end_id else "length")


def test_few_beams_find_likelier_texts_than_greedy(language_model):
    """Over blocks, batches and the growth of the cache."""
    model, task = language_model
    generator = Generator(model, task, block_size=7)
    greedy = generator.generate(PROMPTS, max_new_tokens=12)
    together = Generator(model, task, batch_size=12, block_size=32)
    found = together.generate(PROMPTS, beams=4, length_penalty=0.0, max_new_tokens=12)
    alone = [generator.generate([prompt], beams=4, length_penalty=0.0, max_new_tokens=12)[0] for prompt in PROMPTS]
    assert [text.tokens for text in alone] == [text.tokens for text in found]
    gains = [text.log_probability - other.log_probability for text, other in zip(found, greedy, strict=True)]
    assert max(gains) > 0.1
    for text in found:
        ids = [task.tokenizer.end_id, *task.tokenizer.encode(text.prompt), *text.tokens]
        begin = len(ids) - len(text.tokens) - 1
        ids += [task.tokenizer.end_id] * (text.finish == "end")
        log_probabilities = log_softmax(model(np.array([ids]))[0])
        expected = sum(log_probabilities[place, ids[place + 1]] for place in range(begin, len(ids) - 1))
        assert text.log_probability == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_repetition_penalty_acts_on_beams(decoder):
    model, task = decoder
    generator = Generator(model, task)
    (plain,) = generator.generate(["ab"], beams=3, max_new_tokens=20)
    (penalized,) = generator.generate(
        ["ab"], beams=3, max_new_tokens=20, samplers=[{"name": "repetition_penalty", "penalty": 3.0}]
    )
    assert has_pairs(plain.tokens)
    assert not has_pairs(penalized.tokens)


def has_pairs(tokens):
    return any(before == after for before, after in pairwise(tokens))


def test_translations_are_searched_too(translator):
    model, task = translator
    sources = ["abc", "hgfedcbah", "d"]
    generator = Generator(model, task, batch_size=9)
    searched = generator.generate(sources, beams=3, length_penalty=0.0)
    greedy = generator.generate(sources)
    gains = [text.log_probability - other.log_probability for text, other in zip(searched, greedy, strict=True)]
    assert max(gains) > 0.1


def test_a_searched_text_is_reported_whole(decoder):
    pieces = []
    generator = Generator(*decoder)
    texts = generator.generate(
        ["a", "b"], beams=2, max_new_tokens=4, on_text=lambda number, piece: pieces.append((number, piece))
    )
    assert pieces == [(number, text.text) for number, text in enumerate(texts)]


BAD = [
    ({"beams": 0}, "beams=0, expected at least 1"),
    ({"length_penalty": -1.0}, "length_penalty=-1.0, expected a number of at least 0"),
    ({"beams": 2, "samplers": ["top_k"]}, "beams=2 and the sampler top_k, which draws at random; pass one of them"),
    ({"beams": 2, "num_samples": 3}, "num_samples=3, expected at most beams=2"),
    ({"beams": 2, "stop": ["x"]}, "beams=2 and the stop string 'x'; pass one of them, not both"),
]


@pytest.mark.parametrize(("asked", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input(decoder, asked, message):
    with pytest.raises(UserError, match=message):
        Generator(*decoder).generate(["a"], **asked)
