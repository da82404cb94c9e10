"""Texts against whole passes of the model, exact distributions, and themselves in other batches and blocks."""

import math

import numpy as np
import pytest
from scipy import stats

import tfdl
from tests.inference.generation.conftest import LONGEST, keras_language_model, log_softmax
from tfdl.config import TASKS
from tfdl.errors import UserError
from tfdl.inference.generation import Generator

PROMPTS = ["a", "abcdefgh", "hgfhgfhgf" * 7, "bad"]
RANDOM = ["random", {"name": "top_p", "p": 0.95}]


def greedy(model, tokens, end_id, most):
    """The definition: the whole text goes through the model again for each token."""
    tokens = list(tokens)
    written = []
    score = 0.0
    while len(written) < most and (not written or written[-1] != end_id):
        # Padding after the text, so that all passes have one shape.
        padded = np.pad(tokens, (0, LONGEST - len(tokens)))[np.newaxis]
        log_probabilities = log_softmax(model.predict_on_batch(padded)[0, len(tokens) - 1])
        written.append(int(log_probabilities.argmax()))
        tokens.append(written[-1])
        score += log_probabilities.max()
    return written, score


def test_greedy_is_the_argmax_of_whole_passes(language_model, tokenizer):
    """Prompts of unequal lengths in a batch, in several blocks, over the first growth of the cache."""
    model, task = language_model
    texts = Generator(model, task, block_size=9).generate(PROMPTS, max_new_tokens=20)
    for prompt, text in zip(PROMPTS, texts, strict=True):
        begun = [tokenizer.end_id, *tokenizer.encode(prompt)]
        expected, score = greedy(model, begun, tokenizer.end_id, 20)
        if expected[-1] == tokenizer.end_id:
            assert (text.finish, list(text.tokens)) == ("end", expected[:-1])
        else:
            assert (text.finish, list(text.tokens)) == ("length", expected)
        assert text.text == tokenizer.decode(expected)
        assert text.log_probability == pytest.approx(score, rel=1e-4, abs=1e-4)
    assert len({text.text for text in texts}) > 2  # otherwise this would show little


def test_a_translation_is_the_argmax_of_whole_passes(translator, tokenizer):
    model, task = translator
    sources = ["abc", "hgfedcbah", "d"]
    texts = Generator(model, task, block_size=5).generate(sources)
    for source, text in zip(sources, texts, strict=True):
        target = [tokenizer.start_id]
        ids = np.array([[*tokenizer.encode(source), tokenizer.end_id]])
        while len(target) <= 12 and target[-1] != tokenizer.end_id:
            logits = model({"source": ids, "target": np.array([target])})[0, -1]
            target.append(int(np.argmax(logits)))
        assert list(text.tokens) == [token for token in target[1:] if token != tokenizer.end_id]
        assert (text.finish == "end") == (target[-1] == tokenizer.end_id)
    assert len({text.text for text in texts}) > 1


def test_a_text_depends_on_its_prompt_and_seed_alone(language_model):
    model, task = language_model
    asked = {"max_new_tokens": 25, "samplers": RANDOM, "num_samples": 2, "seed": 5}
    together = Generator(model, task, block_size=32).generate(PROMPTS, **asked)
    generator = Generator(model, task, batch_size=1, block_size=7)
    alone = [text for prompt in PROMPTS for text in generator.generate([prompt], **asked)]
    assert [text.text for text in together] == [text.text for text in alone]
    assert [text.finish for text in together] == [text.finish for text in alone]
    np.testing.assert_allclose(
        [text.log_probability for text in together], [text.log_probability for text in alone], rtol=1e-4
    )
    first, second = together[:2]
    assert (first.sample, second.sample) == (0, 1)
    assert first.text != second.text
    other = generator.generate(PROMPTS[:1], **{**asked, "seed": 6})
    assert first.text != other[0].text


def pair_probabilities(model, tokenizer, temperature):
    """The exact probability of each pair of first tokens; the second is -1 after the end."""
    begun = [tokenizer.end_id, *tokenizer.encode("ab")]
    first = np.exp(log_softmax(model.predict_on_batch(np.array([begun]))[0, -1] / temperature))
    seconds = model.predict_on_batch(np.array([[*begun, token] for token in range(len(first))]))[:, -1]
    pairs = first[:, np.newaxis] * np.exp(log_softmax(seconds / temperature))
    probabilities = {}
    for token, row in enumerate(pairs):
        if token == tokenizer.end_id:
            probabilities[token, -1] = row.sum()
        else:
            probabilities |= {(token, following): value for following, value in enumerate(row)}
    return probabilities


def fit_of(counts, probabilities):
    """The p-value of Pearson's chi-squared test; pairs that are rarely expected are one class."""
    total = sum(counts.values())
    common = [pair for pair, value in probabilities.items() if value * total >= 5]
    observed = [counts.get(pair, 0) for pair in common]
    expected = [probabilities[pair] * total for pair in common]
    return stats.chisquare([*observed, total - sum(observed)], [*expected, total - sum(expected)]).pvalue


def test_sampled_frequencies_are_the_models_probabilities(decoder, tokenizer):
    """The first two tokens together: so draws of one text do not depend on each other either."""
    model, task = decoder
    generator = Generator(model, task, batch_size=4000)
    samplers = [{"name": "random", "temperature": 2.0}]
    texts = generator.generate(["ab"], max_new_tokens=2, samplers=samplers, num_samples=4000, seed=1)
    counts = {}
    for text in texts:
        tokens = text.tokens if text.finish == "length" else (*text.tokens, tokenizer.end_id)
        pair = tokens if len(tokens) == 2 else (*tokens, -1)
        counts[pair] = counts.get(pair, 0) + 1
    assert fit_of(counts, pair_probabilities(model, tokenizer, 2.0)) > 0.01
    assert fit_of(counts, pair_probabilities(model, tokenizer, 1.5)) < 1e-6  # the control


def test_log_probabilities_are_the_models_not_the_samplers(decoder, tokenizer):
    model, task = decoder
    (text,) = Generator(model, task).generate(["abc"], max_new_tokens=9, samplers=[{"name": "top_k", "k": 2}], seed=3)
    ids = [tokenizer.end_id, *tokenizer.encode("abc"), *text.tokens]
    if text.finish == "end":
        ids.append(tokenizer.end_id)
    log_probabilities = log_softmax(model(np.array([ids]))[0])
    expected = sum(log_probabilities[place, ids[place + 1]] for place in range(3, len(ids) - 1))
    assert text.log_probability == pytest.approx(expected, rel=1e-4)


def test_a_text_ends_at_the_last_position(decoder):
    model, task = decoder
    prompt = "abcdefgh" * 19  # 152 letters and the begin
    texts = Generator(model, task).generate([prompt, "a"], samplers=["random"], seed=4)
    long, short = texts
    assert (long.finish, len(long.tokens)) == ("positions", LONGEST - 153 + 1)
    # The other text goes on, as it does alone.
    (alone,) = Generator(model, task).generate(["a"], samplers=["random"], seed=4)
    assert short.text == alone.text
    assert len(short.tokens) > len(long.tokens)


def test_stop_strings_and_pieces(decoder):
    model, task = decoder
    generator = Generator(model, task, block_size=3)
    asked = {"max_new_tokens": 60, "samplers": ["random"], "seed": 2}
    (whole,) = generator.generate(["abc"], **asked)
    stop = whole.text[7:11]
    place = whole.text.index(stop)
    pieces = []
    (text,) = generator.generate(["abc"], stop=["zz", stop], on_text=lambda _, piece: pieces.append(piece), **asked)
    assert (text.text, text.finish) == (whole.text[:place], "stop")
    assert "".join(pieces) == text.text
    assert len(pieces) > 1
    assert text.tokens == whole.tokens[: place + 4]  # up to the token that completes the stop string
    other_blocks = Generator(model, task, block_size=16).generate(["abc"], stop=[stop], **asked)
    assert other_blocks == [text]


def test_positions_of_a_recurrent_model_have_no_end(tokenizer):
    model = tfdl.build_model("rnn", vocab_size=tokenizer.vocab_size, units=8)
    task = TASKS.load("language-modeling")(tokenizer, 5)
    (text,) = Generator(model, task).generate(["abc" * 10], max_new_tokens=70, samplers=["random"], stop=["never"])
    assert text.finish in ("length", "end")


BAD = [
    ({"prompts": [""]}, "the prompt '' has no token"),
    ({"prompts": ["a" * 160]}, r"the prompt 'a{40}\.\.\.' has 160 tokens, expected at most 159"),
    ({"max_new_tokens": 0}, "max_new_tokens=0, expected at least 1"),
    ({"num_samples": 0}, "num_samples=0, expected at least 1"),
    ({"seed": -1}, "seed=-1, expected a number from 0"),
    ({"stop": [""]}, "a stop string is empty"),
    ({"samplers": "top_l"}, "unknown sampler 'top_l', .* Did you mean 'top_p'"),
    ({"samplers": {"name": "random", "temperature": 0}}, "random.temperature=0.0, expected a positive number"),
    ({"samplers": {"name": "random", "temperature": -1}}, "random.temperature=-1.0, expected a positive number"),
    ({"samplers": {"name": "random", "temperature": math.nan}}, "random.temperature=nan, expected a positive number"),
    ({"samplers": {"name": "top_p", "p": 1.5}}, "top_p.p=1.5, expected a probability above 0 and up to 1"),
    ({"samplers": {"name": "min_p", "p": 0}}, "min_p.p=0.0, expected a fraction above 0"),
    ({"samplers": {"name": "top_k", "k": 0}}, "top_k.k=0, expected a number of tokens of at least 1"),
    ({"samplers": {"name": "repetition_penalty", "penalty": 0}}, "repetition_penalty.penalty=0.0, expected a positive"),
]


@pytest.mark.parametrize(("asked", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input(decoder, asked, message):
    with pytest.raises(UserError, match=message):
        Generator(*decoder).generate(**{"prompts": ["a"], **asked})


def test_a_source_that_is_too_long(translator):
    with pytest.raises(UserError, match="the source 'aaaaaaaaaaaa' has 12 tokens, expected at most 11"):
        Generator(*translator).generate(["a" * 12])


def test_weights_that_cannot_be_used(decoder):
    with pytest.raises(UserError, match="weights='int8', expected float32 or bfloat16"):
        Generator(*decoder, weights="int8")
    with pytest.raises(UserError, match="weights=bfloat16 and xla, which has no fast product for them"):
        Generator(*decoder, weights="bfloat16", xla=True)
    model = keras_language_model(12)
    with pytest.raises(UserError, match="weights=bfloat16, but the model has no dense layers of tfdl"):
        Generator(model, decoder[1], weights="bfloat16")


def test_a_classifier_writes_no_text(trained_run):
    from tfdl.runs import load_run

    loaded = load_run(trained_run)
    with pytest.raises(UserError, match="a model of the task image-classification writes no text"):
        Generator(loaded.model, loaded.task)


@pytest.mark.parametrize("samplers", [[], ["repetition_penalty", "random", "top_k", "top_p", "min_p"]], ids=str)
def test_xla_writes_the_same_texts(decoder, samplers):
    model, task = decoder
    asked = {"samplers": samplers, "max_new_tokens": 20, "seed": 3}
    plain = Generator(model, task).generate(PROMPTS, **asked)
    compiled = Generator(model, task, xla=True).generate(PROMPTS, **asked)
    assert [text.tokens for text in compiled] == [text.tokens for text in plain]


def test_weights_in_bfloat16(decoder, tokenizer):
    """Log-probabilities are those of the model with rounded weights; the model itself does not change."""
    model, task = decoder
    inputs = np.array([tokenizer.encode("abcdefgh")])
    before = model(inputs).numpy()
    text, other = Generator(model, task, weights="bfloat16").generate(["abc", "hhhhh"], max_new_tokens=12)
    np.testing.assert_array_equal(model(inputs), before)
    ids = [tokenizer.end_id, *tokenizer.encode("abc"), *text.tokens, *[tokenizer.end_id] * (text.finish == "end")]
    log_probabilities = log_softmax(model(np.array([ids]))[0])
    exact = sum(log_probabilities[place, ids[place + 1]] for place in range(3, len(ids) - 1))
    assert text.log_probability == pytest.approx(exact, rel=0.1)
    assert text.log_probability != pytest.approx(exact, rel=1e-5)
    assert text.text != other.text
