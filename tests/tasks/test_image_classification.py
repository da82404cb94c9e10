"""The task: what a model takes, what its outputs cost, and what a served model answers."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdl
from tfdl.config import TASKS, DatasetConfig, TrainConfig
from tfdl.data.augmentation.affine import affine
from tfdl.data.files.image_rules import image_rules
from tfdl.data.images import CURRENT_RULES, FIRST_RULES, resize
from tfdl.errors import UserError
from tfdl.tasks import ImageClassification
from tfdl.tasks.image_serving import example
from tfdl.training.callbacks import Callback


@pytest.fixture
def task():
    return ImageClassification((8, 8, 1), ("no", "yes"), resized=False)


LABELS = tf.constant([0, 1, 1])
LOGITS = tf.constant([[2.0, 0.0], [0.0, 0.0], [1.0, 3.0]])


def test_images_become_floats_from_0_to_1(task):
    inputs = task.inputs({"image": np.array([[[[0]], [[51]], [[255]]]], np.uint8)})
    assert inputs.dtype == tf.float32
    np.testing.assert_allclose(np.ravel(inputs), [0, 0.2, 1], rtol=1e-6)


def test_losses_are_keras_s(task):
    losses, weights = task.losses({"label": LABELS}, LOGITS)
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_array_equal(weights, [1, 1, 1])


def test_running_sums(task):
    losses, _ = task.losses({"label": LABELS}, LOGITS)
    total, right = task.running_sums({"label": LABELS}, LOGITS, losses)
    assert float(total) == pytest.approx(float(np.sum(losses)))
    assert int(right) == 2  # the tie goes to class 0
    assert task.running_metrics == ("loss", "accuracy")


def test_rows_and_metrics_agree(task):
    rows = {name: np.asarray(column) for name, column in task.evaluation_rows({"label": LABELS}, LOGITS).items()}
    assert rows["prediction"].tolist() == [0, 0, 1]
    metrics = task.metrics(rows)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["loss"] == pytest.approx(np.mean([np.log1p(np.exp(-2)), np.log(2), np.log1p(np.exp(-2))]), rel=1e-6)


def test_augmentation_is_the_configured_one():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), np.uint8)
    draws = np.full((2, 4), 0.9, "float32")
    batch = {"image": images, "label": LABELS[:2]}
    plain, changed = (ImageClassification((8, 8, 1), ("a",), False, names) for names in ((), ("affine",)))
    assert plain.augment is None
    np.testing.assert_array_equal(changed.augment(batch, draws)["image"], affine(images, draws))
    assert changed.augment(batch, draws)["label"] is batch["label"]


def test_label_smoothing_is_for_training_only():
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 3)), tf.float32)
    batch = {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.array([2, 0])}
    task = ImageClassification((8, 8, 1), ("a", "b", "c"), False, label_smoothing=0.1)
    target = 0.9 * np.eye(3)[[2, 0]] + 0.1 / 3
    expected = -(target * tf.nn.log_softmax(logits)).numpy().sum(1)
    np.testing.assert_allclose(task.losses(batch, logits)[0], expected, rtol=1e-6)
    plain = ImageClassification((8, 8, 1), ("a", "b", "c"), False)
    rows = task.evaluation_rows(batch, logits)["loss"]
    np.testing.assert_array_equal(rows, plain.losses(batch, logits)[0])
    assert (np.abs(rows - expected) > 1e-3).all()


def test_it_opens_with_its_data(data_dir):
    task, sources = TASKS.load("image-classification").open(
        TrainConfig(dataset=DatasetConfig("digits", str(data_dir), image_size=(6, 6)))
    )
    assert (task.image_shape, task.resized) == ((6, 6, 1), True)
    assert task.model_arguments == {"input_shape": (6, 6, 1), "num_classes": 10}
    assert set(sources) == {"train", "validation", "test"}


@pytest.mark.parametrize("resized", [True, False])
def test_it_is_saved_and_loaded_without_its_data(tmp_path, resized):
    before = ImageClassification((24, 16, 3), ("Katze", "Hündin"), resized, ("affine",))
    before.save(tmp_path)
    after = ImageClassification.load(tmp_path)
    assert (after.image_shape, after.class_names, after.resized) == (before.image_shape, before.class_names, resized)


def test_serving_resizes_as_training_does():
    task = ImageClassification((8, 8, 1), ("no", "yes"), resized=True)
    seen = []

    def model(inputs, training):
        seen.append((inputs, training))
        return tf.tile([[1.0, 3.0]], [len(inputs), 1])

    images = np.random.default_rng(0).integers(0, 256, (2, 13, 11, 1), np.uint8)
    answers = task.serve(model, images)
    ((inputs, training),) = seen
    np.testing.assert_allclose(inputs, np.asarray(resize(images, (8, 8))) / 255, rtol=1e-6)
    assert training is False
    np.testing.assert_allclose(answers["probabilities"], [[1 / (1 + np.e**2), 1 / (1 + np.e**-2)]] * 2, rtol=1e-5)
    assert answers["class_id"].numpy().tolist() == [1, 1]
    assert answers["class_name"].numpy().tolist() == [b"yes", b"yes"]


def test_the_sample_fits_the_signature():
    for resized in (True, False):
        task = ImageClassification((8, 6, 3), ("a", "b"), resized)
        sample = task.serving_sample(5)
        signature = task.serving_signature()
        assert signature["image"].is_compatible_with(tf.constant(sample["image"]))
        assert signature["image"].shape[1:3] == ([None, None] if resized else [8, 6])
        np.testing.assert_array_equal(sample["image"], task.serving_sample(5)["image"])


def test_resizing_rounds_and_keeps_bytes():
    image = np.array([[0, 255], [255, 255]], np.uint8)[np.newaxis, :, :, np.newaxis]
    assert np.asarray(resize(image, (1, 1))).ravel().tolist() == [191]  # 191.25
    np.testing.assert_array_equal(resize(image, (2, 2)), image)
    assert resize(image, (3, 5)).dtype == tf.uint8


def classifier(*last_layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *last_layers])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (classifier(keras.layers.Dense(13)), r"shape \(None, 13\), expected \(None, 2\): one logit for each of the 2"),
        (
            classifier(keras.layers.Dense(4), keras.layers.Reshape((2, 2))),
            r"shape \(None, 2, 2\), expected \(None, 2\)",
        ),
        (classifier(keras.layers.Dense(2, "softmax", name="top")), "last layer 'top' returns probabilities, expected"),
        (classifier(keras.layers.Dense(2), keras.layers.Softmax()), "returns probabilities, expected logits"),
        (classifier(keras.layers.Dense(2), keras.layers.Activation("sigmoid")), "returns probabilities"),
    ],
)
def test_a_model_that_does_not_return_logits_is_refused(task, model, message):
    with pytest.raises(UserError, match=message):
        task.fit_to(model)


def test_models_of_logits_and_of_unknown_outputs_are_taken(task):
    task.fit_to(classifier(keras.layers.Dense(2)))

    class Unknown(keras.Model):
        def call(self, inputs):
            return inputs

    task.fit_to(Unknown())


def test_a_derived_task_with_a_loss_of_its_own_may_take_probabilities():
    class Likelihood(ImageClassification):
        def losses(self, batch, outputs):
            return -tf.math.log(tf.gather(outputs, batch["label"], batch_dims=1)), tf.ones(len(outputs))

    Likelihood((8, 8, 1), ("no", "yes"), resized=False).fit_to(classifier(keras.layers.Dense(2, "softmax")))


def test_a_run_keeps_the_rules_by_which_it_reads_images(tmp_path):
    """A run that records none was made before images were turned by their EXIF orientation."""
    new = ImageClassification((8, 8, 3), ("a", "b"), resized=False)
    assert new.image_rules == CURRENT_RULES
    new.save(tmp_path)
    assert ImageClassification.load(tmp_path).image_rules == CURRENT_RULES
    old = without_rules(tmp_path)
    assert old.image_rules == FIRST_RULES
    old.save(tmp_path)
    assert ImageClassification.load(tmp_path).image_rules == FIRST_RULES


def without_rules(assets: Path) -> ImageClassification:
    file = assets / "image_classification.json"
    values = json.loads(file.read_text())
    del values["image_rules"]
    file.write_text(json.dumps(values))
    return ImageClassification.load(assets)


class Notes(Callback):
    """Keeps the notes that a run prints when it starts."""

    def on_start(self, plan: Any) -> None:
        self.notes = plan.notes


def test_evaluating_and_resuming_read_by_the_rules_of_the_run(tmp_path, tiny):
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 3
        path = tmp_path / "pets" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, exif=exif)
    dataset = {"dataset.name": str(tmp_path / "pets"), "dataset.data_dir": str(tmp_path / "prepared")}
    config = tiny({**dataset, "dataset.image_size": None, "batch_size": 8, "xla": "off"}, epochs=1)
    run = tfdl.train(config, tmp_path / "run")
    as_shown = tfdl.evaluate(run)
    assert as_shown == run.read_summary()["test"]
    without_rules(run.assets)
    as_stored = tfdl.evaluate(run)
    assert abs(as_stored["loss"] - as_shown["loss"]) > 1e-4
    notes = Notes()
    resumed = tfdl.train(config.replace(epochs=2), tmp_path / "run", resume=True, callbacks=[notes])
    assert "images are read as when this run began" in " ".join(notes.notes)
    assert tfdl.evaluate(run) == resumed.read_summary()["test"]
    assert ImageClassification.load(run.assets).image_rules == FIRST_RULES


# Signatures of files


def answers_of_files(task, model, name, values):
    signature = task.signatures()[name]
    function = tf.function(partial(signature.answer, model), autograph=False).get_concrete_function(**signature.inputs)
    (argument,) = signature.inputs
    return function(**{argument: tf.constant(values, tf.string)})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_files_get_the_answers_of_their_pixels(channels, count):
    """They have many sizes; some are turned."""
    task = ImageClassification((8, 9, channels), ("a", "b", "c"), resized=True)
    model = tfdl.build_model("cnn", filters=[4], units=4, **task.model_arguments)
    data = task.signatures()["encoded"].sample(count)["image_bytes"].tolist()
    read = image_rules(task.image_rules).read
    images = [resize(read(each, channels), (8, 9)) for each in data]
    sizes = {read(each, channels).shape for each in data}
    assert len(sizes) == count
    expected = task.serve(model, np.reshape(images, (count, 8, 9, channels)).astype(np.uint8))
    wrapped = [example(each) for each in data]
    for name, values in (("encoded", data), ("examples", wrapped)):
        found = answers_of_files(task, model, name, values)
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-6)


def test_files_of_another_size_where_none_is_resized():
    task = ImageClassification((8, 8, 1), ("a", "b"), resized=False)
    model = tfdl.build_model("cnn", filters=[4], units=4, **task.model_arguments)
    data = task.signatures()["encoded"].sample(3)["image_bytes"].tolist()
    assert answers_of_files(task, model, "encoded", data)["class_id"].shape == (3,)
    larger = tf.io.encode_png(np.zeros((10, 12, 1), np.uint8)).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected an image of 8x8 pixels .* \[12 10\]"):
        answers_of_files(task, model, "encoded", [larger])


def test_a_task_of_other_inputs_has_no_signatures_of_files():
    class OfTwo(ImageClassification):
        def serving_signature(self):
            return {"left": tf.TensorSpec([None, 8, 8, 1]), "right": tf.TensorSpec([None, 8, 8, 1])}

    assert list(OfTwo((8, 8, 1), ("a", "b"), resized=False).signatures()) == ["serving_default"]
