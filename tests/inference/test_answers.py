"""Answers are those of the served model, whatever the batches, and in the order of the inputs."""

import numpy as np
import pytest
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.tasks import ImageClassification, language_serving
from tfdl.tasks.prediction import ServedPrediction

TEXTS = ["short", "a", "a text of more than sixteen bytes, and of more than two windows", "naïve café", "the same"]


def close(received, expected):
    assert received == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_classes_of_images_are_those_that_are_served(photos, images, answers):
    task, model = photos
    records = answers(photos, images, top_k=3)
    for record, image in zip(records, images, strict=True):
        served = task.serve(model, image[np.newaxis])
        probabilities = served["probabilities"][0].numpy()
        order = np.argsort(-probabilities)
        assert [entry["class_name"] for entry in record["top"]] == [task.class_names[place] for place in order]
        close([entry["probability"] for entry in record["top"]], probabilities[order])
        assert record["class_name"] == served["class_name"][0].numpy().decode()
    assert len({record["probability"] for record in records}) > 10


def test_batches_do_not_matter(photos, reviews, images, answers):
    for setting, inputs in ((photos, images), (reviews, TEXTS * 3)):
        found = [answers(setting, inputs, batch_size=size) for size in (1, 4, 64)]
        probabilities = [[record["probability"] for record in records] for records in found]
        close(probabilities[0], probabilities[1])
        close(probabilities[0], probabilities[2])


def test_classes_of_texts_are_those_that_are_served(reviews, answers):
    task, model = reviews
    served = task.serve(model, tf.constant(TEXTS))
    records = answers(reviews, TEXTS)
    assert [record["class_name"].encode() for record in records] == served["class_name"].numpy().tolist()
    close([record["probability"] for record in records], served["probabilities"].numpy().max(1))


def test_a_class_number_and_one_answer_by_default(reviews, answers):
    (record,) = answers(reviews, "short")
    assert list(record) == ["class_name", "class_id", "probability"]
    assert reviews[0].class_names[record["class_id"]] == record["class_name"]
    assert len(answers(reviews, "short", top_k=99)[0]["top"]) == 3


def test_texts_are_scored_as_they_are_served(language, answers, monkeypatch):
    task, model = language
    served = task.serve(model, tf.constant(TEXTS))
    # Two windows at a time, and one text in a batch.
    monkeypatch.setattr(language_serving, "_MOST_LOGITS", 2 * 8 * task.tokenizer.vocab_size)
    records = answers(language, TEXTS, top_k=2)
    assert [record["tokens"] for record in records] == served["tokens"].numpy().tolist()
    close([record["log_probability"] for record in records], served["log_probability"].numpy())
    close([record["perplexity"] for record in records], served["perplexity"].numpy())
    for number, record in enumerate(records):
        assert [entry["id"] for entry in record["next"]] == served["next_id"][number, :2].numpy().tolist()
        log_probabilities = np.log(served["next_probability"][number, :2].numpy())
        close([entry["log_probability"] for entry in record["next"]], log_probabilities)


def test_a_text_s_probability_is_the_product_over_its_tokens(language, answers):
    """By hand: a text of one window."""
    task, model = language
    tokens = task.tokenizer.encode("abcd")
    logits = model(np.array([[task.tokenizer.end_id, *tokens[:-1]]], np.int32), training=False)
    log_probabilities = tf.nn.log_softmax(logits)[0].numpy()
    (record,) = answers(language, ["abcd"])
    close(record["log_probability"], sum(log_probabilities[place, token] for place, token in enumerate(tokens)))


def test_translations_are_those_that_are_served(translator, answers):
    task, model = translator
    served = task.serve(model, tf.constant(TEXTS))
    records = answers(translator, TEXTS)
    assert [record["target"].encode() for record in records] == served["target"].numpy().tolist()
    close([record["log_probability"] for record in records], served["log_probability"].numpy())


def test_a_task_that_serves_in_its_own_way_answers_in_it(photos, images, answers):
    class Brightness(ImageClassification):
        def serve(self, model, image):  # noqa: ARG002
            return {"brightness": tf.reduce_mean(tf.cast(image, tf.float32), [1, 2, 3])}

    task = Brightness((8, 8, 3), ("a", "b"), resized=False)
    assert isinstance(task.prediction(), ServedPrediction)
    eight = [image for image in images if image.shape[:2] == (8, 8)]
    records = answers((task, photos[1]), eight)
    close([record["brightness"] for record in records], [image.mean() for image in eight])
    with pytest.raises(UserError, match=r"--top-k 2 has no meaning for the task 'image-classification'; leave it out"):
        task.prediction(2)


def test_translation_ranks_no_answers(translator):
    with pytest.raises(UserError, match=r"--top-k 3 has no meaning for translation, which writes one target"):
        translator[0].prediction(3)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_give_the_very_answers_of_one_process(photos, reviews, images, answers, ranks, size):
    settings = [(photos, images), (reviews, TEXTS * 5)]
    alone = [answers(setting, inputs, batch_size=4) for setting, inputs in settings]
    world = ranks(size)
    for (setting, inputs), expected in zip(settings, alone, strict=True):
        together = world.run(lambda _, s=setting, i=inputs: answers(s, i, batch_size=4, world=world))
        assert together == [expected] * size


def test_all_ranks_end_with_the_error_of_one(photos, images, answers, ranks):
    world = ranks(2)
    damaged = [*images[:6], b"no image"]

    def predict(_):
        with pytest.raises(UserError, match=r"1 bad input: not an image that can be read .*\. Fix them$") as caught:
            answers(photos, damaged, batch_size=2, world=world)
        return caught.value.agreed

    assert world.run(predict) == [True, True]


def test_ranks_with_different_inputs_are_an_error(photos, tmp_path, images, answers, ranks):
    world = ranks(2)
    for name in ("a.png", "b.png"):
        tf.io.write_file(str(tmp_path / name), tf.io.encode_png(images[0]))

    def predict(rank):
        with pytest.raises(UserError, match=r"rank \d and rank \d have different inputs, expected the same files"):
            answers(photos, [tmp_path / "ab"[rank]], world=world)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.png").rename(tmp_path / name / f"{name}.png")
    world.run(predict)
