"""The signature that writes texts, against the generator and the samplers of ``tfdl generate``."""

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.inference.generation.conftest import LONGEST
from tfdl.config import choose_samplers
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.data.tokenizers.word import WordTokenizer
from tfdl.inference.generation import Generator
from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.served_generation import ServedGeneration, generation_signatures
from tfdl.inference.generation.served_sampling import served_choice
from tfdl.tasks import LanguageModeling

PROMPTS = ["a", "abcdefgh", "hgfhgfhgf" * 7, "bad"]
GREEDY = {"max_new_tokens": 20, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}
DRAWN = {**GREEDY, "temperature": 1.0}


@pytest.fixture(scope="session")
def served(language_model):
    """``served(texts, **settings)``: the answers of one graph for any texts and settings."""
    model, task = language_model
    (signature,) = generation_signatures(model, task).values()
    graph = tf.function(lambda **inputs: signature.answer(model, **inputs), autograph=False)
    graph = graph.get_concrete_function(**signature.inputs)

    def call(texts, **settings):
        arguments = {"text": np.array(texts, object), **settings}
        return graph(**{name: tf.constant(value, signature.inputs[name].dtype) for name, value in arguments.items()})

    return call


def texts_of(answers):
    return [text.decode() for text in answers["generated"].numpy()]


def test_greedy_texts_are_those_of_the_generator(language_model, served):
    """Prompts of unequal lengths in one batch, and each alone."""
    expected = Generator(*language_model).generate(PROMPTS, max_new_tokens=20)
    answers = served(PROMPTS, **GREEDY)
    assert texts_of(answers) == [text.text for text in expected]
    assert answers["tokens"].numpy().tolist() == [len(text.tokens) for text in expected]
    np.testing.assert_allclose(answers["log_probability"], [text.log_probability for text in expected], 1e-4, 1e-4)
    assert [texts_of(served([prompt], **GREEDY))[0] for prompt in PROMPTS] == texts_of(answers)
    assert len(set(texts_of(answers))) > 2  # otherwise this would show little


def test_seeds_decide_what_is_drawn(served):
    first, again, other = (texts_of(served(PROMPTS, **{**DRAWN, "seed": seed})) for seed in (1, 1, 2))
    assert first == again != other
    assert texts_of(served(PROMPTS[1:2], **{**DRAWN, "seed": 1})) == first[1:2]
    assert texts_of(served(PROMPTS, **{**DRAWN, "top_k": 1})) == texts_of(served(PROMPTS, **GREEDY))


def test_no_text_and_an_empty_text(served):
    none = served([], **GREEDY)
    assert {name: value.shape[0] for name, value in none.items()} == dict.fromkeys(none, 0)
    assert served([""], **GREEDY)["generated"].shape == (1,)


def test_a_text_ends_at_the_last_position(decoder):
    model, task = decoder
    generation = ServedGeneration(model, task)
    prompts = ["ab" * 70, "a"]  # of 160 positions, one for the token that begins a text
    settings = {name: tf.constant(value) for name, value in {**GREEDY, "max_new_tokens": 30}.items()}
    found = generation.answer(model, text=tf.constant(prompts), **settings)
    first, second = Generator(model, task).generate(prompts, max_new_tokens=30)
    # The generator uses one position more.
    assert (len(first.tokens), first.finish) == (20, "positions")
    assert texts_of(found) == [first.text[:-1], second.text]
    assert found["tokens"].numpy().tolist() == [19, 30]
    message = rf"tokens of a text: expected at most {LONGEST - 2}, not"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        generation.answer(model, text=tf.constant(["a" * (LONGEST - 1)]), **settings)


def test_a_request_for_very_many_tokens_takes_no_memory(decoder):
    """2 billion: a model with positions writes what it has room for, another one refuses."""
    model, task = decoder
    settings = {name: tf.constant(value) for name, value in {**GREEDY, "max_new_tokens": 2_000_000_000}.items()}
    found = ServedGeneration(model, task).answer(model, text=tf.constant(["ab" * 75]), **settings)
    assert found["tokens"].numpy().tolist() == [9]
    model = tfdl.build_model("rnn", vocab_size=task.tokenizer.vocab_size, units=8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_new_tokens: expected at most 65536, not"):
        ServedGeneration(model, task).answer(model, text=tf.constant(["a"]), **settings)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_new_tokens", 0, "max_new_tokens: expected at least 1, not"),
        ("temperature", -1.0, "temperature: expected 0 or more, not"),
        ("temperature", float("nan"), "temperature: expected 0 or more, not"),
        ("top_k", -1, "top_k: expected 0 .all tokens. or more, not"),
        ("top_p", 0.0, "top_p: expected above 0 and at most 1, not"),
        ("top_p", 1.5, "top_p: expected above 0 and at most 1, not"),
    ],
)
def test_settings_out_of_range(decoder, name, value, message):
    settings = {key: tf.constant(setting) for key, setting in {**GREEDY, name: value}.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ServedGeneration(*decoder).answer(decoder[0], text=tf.constant(["a"]), **settings)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 1, 3, 100])
@pytest.mark.parametrize("top_p", [1.0, 0.7, 0.05])
def test_a_token_is_chosen_as_by_the_samplers(temperature, top_k, top_p):
    logits = tf.constant(np.random.default_rng(0).normal(0, 2, (1, 12)).astype(np.float32))
    samplers = [{"name": "random", "temperature": temperature}]
    samplers += [{"name": "top_k", "k": top_k}] if top_k else []
    samplers += [{"name": "top_p", "p": top_p}] if top_p < 1 else []
    chain = SamplerChain(choose_samplers(samplers))
    for uniform in np.linspace(0, 0.999, 41):
        found = served_choice(logits, tf.constant(temperature), tf.constant(top_k), tf.constant(top_p), uniform)
        assert found.numpy().tolist() == chain.choose(logits, None, tf.constant([uniform])).numpy().tolist()


def test_words_are_separated_from_the_prompt():
    """A tokenizer that joins words by spaces: the text and what is generated make the whole text."""
    tokenizer = WordTokenizer(["one", "two", "three"], "spaces")
    task = LanguageModeling(tokenizer, 16)
    model = tfdl.build_model("rnn", vocab_size=tokenizer.vocab_size, units=8)
    settings = {name: tf.constant(value) for name, value in DRAWN.items()}
    found = ServedGeneration(model, task).answer(model, text=tf.constant(["one two"]), **settings)
    (generated,) = texts_of(found)
    assert tokenizer.decode(tokenizer.encode("one two" + generated)) == "one two" + generated
    assert found["tokens"].numpy()[0] > 0


def test_other_tasks_have_no_such_signature(translator):
    assert generation_signatures(*translator) == {}


def test_the_sample_fits_a_model_of_few_positions():
    """Random bytes are no UTF-8: as a text they are more tokens than they were."""
    tokenizer = ByteTokenizer()
    sizes = {"hidden_dim": 16, "num_heads": 2, "num_layers": 1, "sequence_length": 12}
    model = tfdl.build_model("transformer", vocab_size=tokenizer.vocab_size, **sizes)
    task = LanguageModeling(tokenizer, 12)
    sample = ServedGeneration(model, task).sample(64)
    lengths = [len(tokenizer.encode(text.decode())) for text in sample["text"]]
    assert max(lengths) <= 10
    assert len(set(lengths)) > 2
    arguments = {name: tf.constant(value) for name, value in sample.items()}
    assert ServedGeneration(model, task).answer(model, **arguments)["generated"].shape == (8,)
