"""The task of text-to-text: what a token costs, what counts, and what is served."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import TASKS, DatasetConfig, TrainConfig
from tfdl.data.pipeline import WEIGHT
from tfdl.data.tokenizers import ByteTokenizer, CharacterTokenizer
from tfdl.errors import UserError
from tfdl.tasks import Translation
from tfdl.tasks.translation_metrics import text_metrics, token_metrics

TARGET = np.array([[1, 5, 6, 2, 0], [1, 2, 0, 0, 0], [1, 4, 5, 6, 2]], np.int32)
LABELS = TARGET[:, 1:]
COUNTS = [3, 1, 4]


@pytest.fixture
def task():
    return Translation(CharacterTokenizer("abc"), 8)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 2, (3, 4, 7)).astype(np.float32)


def batch(**more):
    return {"source": np.array([[4, 2], [2, 0], [5, 2]], np.int32), "target": TARGET, **more}


def test_a_decoder_reads_all_but_the_last_token_and_is_to_say_all_but_the_first(task):
    inputs = task.inputs(batch())
    np.testing.assert_array_equal(inputs["target"], TARGET[:, :-1])
    np.testing.assert_array_equal(inputs["source"], batch()["source"])


def test_losses_by_hand(task):
    probabilities = np.full((3, 4, 7), 0.1)
    probabilities[..., 2] = 0.4
    losses, weights = task.losses(batch(), np.log(probabilities))
    np.testing.assert_array_equal(weights, [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    expected = (5 * -np.log(0.1) + 3 * -np.log(0.4)) / 8  # five tokens, three ends
    assert float(tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_are_pytorch_s_that_ignores_padding(logits, smoothing):
    torch = pytest.importorskip("torch")
    task = Translation(CharacterTokenizer("abc"), 8, label_smoothing=smoothing)
    losses, weights = task.losses(batch(), logits)
    reference = torch.nn.CrossEntropyLoss(ignore_index=0, label_smoothing=smoothing)
    expected = reference(torch.tensor(logits.reshape(-1, 7)), torch.tensor(LABELS.reshape(-1).astype(np.int64)))
    assert float(tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)) == pytest.approx(float(expected), rel=1e-6)


def test_losses_are_keras_s_that_ignores_padding(task, logits):
    losses, weights = task.losses(batch(), logits)
    reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0, reduction="sum")
    assert float(tf.reduce_sum(losses * weights)) == pytest.approx(float(reference(LABELS, logits)), rel=1e-6)


def test_a_stand_in_counts_for_nothing(task, logits):
    _, weights = task.losses(batch(**{WEIGHT: np.array([1.0, 0.0, 1.0], np.float32)}), logits)
    np.testing.assert_array_equal(np.sum(weights, 1), [3, 0, 4])


def test_running_sums_and_rows_agree(logits):
    task = Translation(CharacterTokenizer("abc"), 8, label_smoothing=0.1)
    losses, weights = task.losses(batch(), logits)
    total, right = task.running_sums(batch(), logits, losses)
    assert float(total) == pytest.approx(float(np.sum(losses * weights)))
    rows = {name: np.asarray(column) for name, column in task.evaluation_rows(batch(), logits).items()}
    assert rows["tokens"].tolist() == COUNTS
    assert rows["num_correct"].sum() == float(right)
    plain, _ = Translation(CharacterTokenizer("abc"), 8).losses(batch(), logits)
    np.testing.assert_allclose(rows["loss"], np.sum(plain * weights, 1), rtol=1e-6)  # without smoothing


def test_every_token_counts_alike():
    rows = {"loss": np.array([3.0, 1.0]), "tokens": np.array([9, 1]), "num_correct": np.array([9, 0])}
    found = token_metrics(rows)
    assert found["loss"] == pytest.approx(0.4)
    assert found["perplexity"] == pytest.approx(np.exp(0.4))
    assert found["token_accuracy"] == pytest.approx(0.9)


def test_texts_that_are_equal_and_texts_that_are_not():
    wanted = ["the cat is on the mat", "it rains in the north"]
    assert text_metrics(wanted, wanted) == pytest.approx({"exact_match": 1, "bleu": 100, "chrf": 100})
    found = text_metrics(["the cat is on the mat", "no"], wanted)
    assert found["exact_match"] == 0.5
    assert 0 < found["bleu"] < found["chrf"] < 100
    assert text_metrics(["", ""], wanted) == pytest.approx({"exact_match": 0, "bleu": 0, "chrf": 0})


def test_texts_of_one_word_have_a_bleu():
    assert text_metrics(["1987-03-23", "ja"], ["1987-03-23", "ja"])["bleu"] == pytest.approx(100)
    assert text_metrics(["ja", "nein"], ["ja", "doch"])["bleu"] == pytest.approx(50)


def test_bleu_by_hand():
    """Papineni et al.'s formula: precisions 4/6, 2/5, 1/4 and no 4-gram of 3, which sacrebleu counts as 1/2; the
    reference is as long."""
    found = text_metrics(["a b c x d y"], ["a b c z d w"])
    assert found["bleu"] == pytest.approx(100 * (4 / 6 * 2 / 5 * 1 / 4 * 1 / 2 / 3) ** 0.25, rel=1e-6)


def test_it_opens_with_its_data(data_dir):
    config = TrainConfig(task="translation", dataset=DatasetConfig("dates", str(data_dir)))
    task, sources = TASKS.load("translation").open(config)
    assert task.longest == config.model.sequence_length
    assert task.longest_written == 14  # a date has ten tokens and an end, and a quarter more is room enough
    assert task.model_arguments == {"vocab_size": task.tokenizer.vocab_size}
    assert task.notes == ()
    found = {role: value.numpy()[0] for role, value in sources["test"].read(tf.constant([0], tf.int64)).items()}
    texts = sources["test"].spread(1).texts("source", "target")
    assert (found["source"][-1], found["target"][0]) != (2, 0)
    for role in ("source", "target"):
        assert task.tokenizer.decode(found[role]) == texts[role][0]
        assert 2 in found[role]


def test_long_samples_are_told(data_dir):
    dataset = DatasetConfig("dates", str(data_dir), sequence_length=9)
    task, sources = TASKS.load("translation").open(TrainConfig(task="translation", dataset=dataset))
    assert task.notes == (
        "texts of more than 9 tokens are cut: 20,000 of 20,000 in train, 1,000 of 1,000 in validation, 1,000 of 1,000"
        " in test (--sequence-length)",
    )
    batch = sources["test"].read(tf.constant([0, 1], tf.int64))
    assert batch["source"].shape == (2, 9)
    assert batch["target"].shape == (2, 10)  # and the start


def test_it_is_saved_and_loaded_without_its_data(tmp_path):
    task = Translation(CharacterTokenizer("abc"), 8, longest_written=5)
    task.save(tmp_path)
    after = Translation.load(tmp_path)
    assert (after.longest, after.longest_written, after.tokenizer) == (8, 5, task.tokenizer)


def test_a_run_from_before_the_limit_was_kept_has_none(tmp_path, task):
    task.save(tmp_path)
    (tmp_path / "translation.json").write_text('{"longest": 8}')
    assert Translation.load(tmp_path).longest_written == 8


def test_a_run_s_limit_holds_for_other_data(data_dir, tmp_path):
    config = TrainConfig(task="translation", dataset=DatasetConfig("dates", str(data_dir)))
    task, _ = Translation.open(config)
    task.longest_written = 12
    task.save(tmp_path)
    again, _ = Translation.open(config, tmp_path)
    assert again.longest_written == 12


def untrained(task):
    return tfdl.build_model(
        "transformer", architecture="encoder-decoder", hidden_dim=16, num_heads=2, num_layers=1, sequence_length=12,
        **task.model_arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def served():
    task = Translation(ByteTokenizer(), 12)
    model = untrained(task)
    return task, tf.function(
        lambda source: task.serve(model, source), input_signature=[*task.serving_signature().values()]
    )


def test_strings_in_and_strings_out(served):
    _, serve = served
    answers = serve(tf.constant(["a", "", "a text of more than twelve bytes", "naïve"]))
    assert answers["target"].shape == answers["log_probability"].shape == (4,)
    assert answers["target"].dtype == tf.string
    assert (answers["log_probability"].numpy() < 0).all()
    alone = [serve(tf.constant([text]))["target"].numpy()[0] for text in ("a", "naïve")]
    assert [answers["target"].numpy()[place] for place in (0, 3)] == alone


def test_a_model_that_knows_no_end_is_cut_short():
    """Its likeliest token is not the end, so that it writes as much as it may."""
    task = Translation(CharacterTokenizer("abc"), 12)
    model = untrained(task)
    source = tf.constant(["abc", "cab"])
    for most in (12, 5):
        task.longest_written = most
        model.decode = lambda token, cache, *_: (tf.one_hot(tf.zeros_like(token) + 4, 7), cache)
        assert [len(text) for text in task.serve(model, source)["target"].numpy()] == [most, most]


def test_no_source(served):
    answers = served[1](tf.constant([], tf.string))
    assert answers["target"].shape == answers["log_probability"].shape == (0,)


def test_a_source_is_cut_as_in_training(served):
    task, serve = served
    long = "abcdefghijklmnop"
    kept = long[: task.longest - 1]
    np.testing.assert_allclose(
        serve(tf.constant([long]))["log_probability"], serve(tf.constant([kept]))["log_probability"], rtol=1e-5
    )


def test_gpt2_s_tokens_leave_none_for_padding():
    with pytest.raises(UserError, match=r"tokenizer.name='gpt2', expected another one for translation"):
        TrainConfig(task="translation", tokenizer={"name": "gpt2", "folder": "x"})
