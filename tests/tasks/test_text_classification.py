"""The task of texts with a label: what a model reads, and what is served. What images share is tested there."""

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import TASKS, DatasetConfig, TrainConfig
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.errors import UserError
from tfdl.tasks import TextClassification

OPEN = TASKS.load("text-classification").open


def of_files(path, **changes):
    return TrainConfig(task="text-classification", dataset={"name": str(path), **changes}, tokenizer="byte")


@pytest.fixture
def table(tmp_path):
    """A path of a table of 60 texts, of the classes given."""

    def write(*classes, name="texts.csv", rows=60):
        lines = [f"this is text number {number},{classes[number % len(classes)]}" for number in range(rows)]
        (tmp_path / name).write_text("\n".join(["text,label", *lines]) + "\n")
        return tmp_path / name

    return write


def test_it_opens_with_its_data(data_dir):
    dataset = DatasetConfig("docstrings", str(data_dir), sequence_length=50)
    task, sources = OPEN(TrainConfig(task="text-classification", dataset=dataset, tokenizer="byte"))
    assert task.model_arguments == {"vocab_size": 259, "num_classes": 10}
    assert "asyncio" in task.class_names
    assert set(sources) == {"train", "validation", "test"}
    cut = sources["train"].num_cut
    assert 0 < cut < sources["train"].num_examples
    assert task.notes[0].startswith(f"texts of more than 50 tokens are cut: {cut:,} of ")
    batch = sources["train"].read(tf.range(8, dtype=tf.int64))
    assert batch["text"].shape[1] <= 50
    assert (batch["text"].numpy()[:, 0] == task.tokenizer.start_id).all()
    np.testing.assert_array_equal(task.inputs(batch), batch["text"])


def test_models_without_positions_read_512_tokens_and_others_what_they_have(data_dir):
    for model, longest in (("rnn", 512), ("transformer", 256), ("bert-tiny", 512)):
        config = TrainConfig(
            model=model,
            task="text-classification",
            tokenizer="byte",
            dataset=DatasetConfig("docstrings", str(data_dir)),
        )
        assert OPEN(config)[0].longest == longest


def test_more_tokens_than_positions(table):
    config = of_files(table("a", "b"), sequence_length=300).replace(model="transformer")
    with pytest.raises(UserError, match=r"sequence_length=300, but .* 256 learned positions; expected at most 256, or"):
        OPEN(config)
    with pytest.raises(UserError, match="sequence_length=1, expected at least 2"):
        OPEN(of_files(table("a", "b"), sequence_length=1))


def test_it_is_saved_and_loaded_without_its_data(tmp_path):
    before = TextClassification(ByteTokenizer(), ("Katze", "Hündin"), 99)
    before.save(tmp_path)
    after = TextClassification.load(tmp_path)
    assert (after.class_names, after.longest) == (before.class_names, 99)
    assert after.tokenizer == before.tokenizer


def test_a_run_s_classes_are_those_that_it_was_trained_for(table, tmp_path):
    task, _ = OPEN(of_files(table("cat", "dog", "bird")))
    (tmp_path / "assets").mkdir()
    task.save(tmp_path / "assets")
    OPEN(of_files(table("cat", "dog", "bird", name="again.csv")), tmp_path / "assets")
    with pytest.raises(UserError, match=r"classes of '.*other.csv' are not .* \(missing now: bird; new: fish\)"):
        OPEN(of_files(table("cat", "dog", "fish", name="other.csv")), tmp_path / "assets")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\nsome text\n", "label"),
        ("text,label\nsome text,\n", "'label' is empty"),
        ("text,label\n,a\n", "'text' is empty"),
        ("text,label\n", "no rows"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "texts.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        OPEN(of_files(tmp_path / "texts.csv"))


def test_samples_without_a_label(data_dir, monkeypatch):
    from tfdl.data.tfds import texts

    def unlabelled(self, original=texts.PreparedTexts.__iter__):
        return ({**row, "label": -1} for row in original(self))

    monkeypatch.setattr(texts.PreparedTexts, "__iter__", unlabelled)
    monkeypatch.setattr("tfdl.tasks.tokens.data_root", lambda _: data_dir / "of its own")
    config = TrainConfig(
        task="text-classification", tokenizer="byte", dataset=DatasetConfig("docstrings", str(data_dir))
    )
    with pytest.raises(UserError, match=r"split of 'docstrings' has samples without a label; choose another with"):
        OPEN(config)


@pytest.fixture(scope="module", params=["rnn", "transformer"])
def served(request):
    task = TextClassification(ByteTokenizer(), ("no", "yes", "Hündin"), 16)
    sizes = {"rnn": {"units": 8}, "transformer": {"architecture": "encoder", "hidden_dim": 16, "num_heads": 2}}
    model = tfdl.build_model(request.param, **sizes[request.param], **task.model_arguments)
    signature = [*task.serving_signature().values()]
    return task, model, tf.function(lambda text: task.serve(model, text), input_signature=signature)


def test_texts_are_read_as_in_training(served):
    task, model, serve = served
    texts = ["short", "", "a text of more than sixteen bytes", "naïve"]
    answers = serve(tf.constant(texts))
    rows = [[task.tokenizer.start_id, *task.tokenizer.encode(text)][:16] for text in texts]
    tokens = np.array([row + [0] * (16 - len(row)) for row in rows], np.int32)
    expected = tf.nn.softmax(model(tokens, training=False))
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-6)
    names = [task.class_names[place].encode() for place in np.argmax(expected, 1)]
    assert answers["class_name"].numpy().tolist() == names


def test_one_by_one_equals_together(served):
    texts = ["a", "some longer text", "mid size"]
    together = served[2](tf.constant(texts))["probabilities"]
    alone = [served[2](tf.constant([text]))["probabilities"][0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_no_texts(served):
    answers = served[2](tf.constant([], tf.string))
    assert answers["probabilities"].shape == (0, 3)
    assert answers["class_name"].shape == (0,)
