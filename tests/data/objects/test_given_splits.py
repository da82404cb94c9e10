"""What the splits that Python code passes may and may not contain."""

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import DatasetConfig
from tfdl.data import ArraySource, ShuffledSource
from tfdl.data.objects.splits import data_of_split, split_sources
from tfdl.data.opening import open_images, open_texts
from tfdl.errors import UserError
from tfdl.training.opening import samples_in_words

IMAGES = np.zeros((30, 4, 4), np.uint8)
LABELS = np.arange(30) % 3
WEIGHTS = np.zeros(30, np.float32)
CONFIG = tfdl.TrainConfig().dataset


def test_images_with_sample_weights_are_refused():
    data = {"train": (IMAGES, LABELS, WEIGHTS)}
    with pytest.raises(
        UserError, match=r"data\['train'\] has sample weights, which image classification does not read"
    ):
        open_images(CONFIG, data)


def test_images_of_a_source_with_sample_weights_are_refused():
    source = ArraySource({"image": IMAGES, "label": LABELS, "sample_weight": WEIGHTS})
    with pytest.raises(UserError, match="has sample weights"):
        open_images(CONFIG, {"train": source, "validation": source})


@pytest.mark.parametrize("roles", [("text",), ("text", "label"), ("source", "target")])
def test_texts_with_sample_weights_are_refused(roles):
    columns = {role: LABELS if role == "label" else ["a text"] * 30 for role in roles}
    data = {"train": tf.data.Dataset.from_tensor_slices({**columns, "sample_weight": WEIGHTS})}
    with pytest.raises(UserError, match=r"data\['train'\] has sample weights, which a task of texts does not read"):
        open_texts(CONFIG, roles, data)


def test_an_unknown_key_is_refused():
    data = {"train": {"x": IMAGES, "y": LABELS, "sample_weights": WEIGHTS}}
    with pytest.raises(
        UserError, match=r"has the key 'sample_weights', which is not read.* Did you mean 'sample_weight'"
    ):
        split_sources(data, ("x", "y"), 1024)


@pytest.mark.parametrize("data", [((IMAGES, LABELS) for _ in range(3)), lambda: (IMAGES, LABELS)])
def test_data_that_can_be_read_once_is_refused(data):
    kind = type(data).__name__
    with pytest.raises(UserError, match=rf"data\['train'\] is a {kind}, expected data that can be read more than once"):
        split_sources({"train": data}, ("x", "y"), 1024)


def test_a_source_without_a_role_is_refused():
    class Unnamed(ShuffledSource):
        num_examples = 30

        def read(self, indices):
            return {"image": tf.gather(IMAGES, indices), "label": tf.gather(LABELS, indices)}

    with pytest.raises(UserError, match=r"data\['train'\] has the features image, label, expected x and y"):
        split_sources({"train": Unnamed(), "validation": Unnamed()}, ("x", "y"), 1024)


@pytest.mark.parametrize("labels", [LABELS * 20_000_000, np.arange(30) * 40])
def test_labels_that_are_no_class_numbers(labels):
    largest = f"the largest label is {labels.max()}, but there are only {len(np.unique(labels))} different labels"
    with pytest.raises(UserError, match=largest):
        open_images(CONFIG, {"train": (IMAGES, labels)})


def test_a_small_set_may_lack_many_classes():
    assert len(open_images(CONFIG, {"train": (IMAGES, LABELS * 499)}).class_names) == 999


def test_one_split_has_the_classes_of_the_run():
    data = data_of_split({"validation": (["b", "c"], ["dog", "cat"])}, "test", ("bird", "cat", "dog"))
    dataset = open_texts(CONFIG, ("text", "label"), data)
    assert dataset.class_names == ("bird", "cat", "dog")
    assert list(dataset.splits["test"]) == [{"text": "b", "label": 2}, {"text": "c", "label": 1}]
    with pytest.raises(UserError, match=r"the label 'cat', expected one of the 1 classes that the run was trained for"):
        open_texts(CONFIG, ("text", "label"), data_of_split(data, "test", ("bird",)))


def test_a_validation_split_that_is_also_the_test_is_reported():
    note = "the validation split is also the test split"
    data = {"train": (["a", "b"], [0, 1]), "validation": (["c", "d"], [0, 1])}
    assert open_texts(CONFIG, ("text", "label"), data).notes == (note,)
    assert open_texts(CONFIG, ("text", "label"), {**data, "test": (["e"], [1])}).notes == ()
    # One split that is evaluated stands for all of them.
    assert open_texts(CONFIG, ("text", "label"), data_of_split({"test": (["e"], [1])}, "test", ("0", "1"))).notes == ()
    images = {"train": (IMAGES, LABELS), "validation": (IMAGES, LABELS)}
    assert samples_in_words(open_images(CONFIG, images).sources).endswith(
        " for validation, which are also the test split"
    )
    assert samples_in_words(open_images(CONFIG, {**images, "test": (IMAGES, LABELS)}).sources).endswith(" for the test")


@pytest.mark.parametrize("opened", [open_images, open_texts])
def test_exact_labels(opened):
    inputs = IMAGES[:4] if opened is open_images else ["a", "b", "c", "d"]
    roles = () if opened is open_images else (("text", "label"),)
    data = {"train": (inputs, ["7", "007", "8", "7"]), "validation": (inputs, ["7", "007", "8", "7"])}
    dataset = opened(CONFIG, *roles, data)
    assert dataset.class_names == ("7", "8")
    assert "taken for one class: '007', '7' (--exact-labels keeps them apart)" in dataset.notes
    assert opened(DatasetConfig("python", exact_labels=True), *roles, data).class_names == ("007", "7", "8")


def test_one_split_is_not_enough_to_train():
    with pytest.raises(UserError, match="data has no split 'train', expected splits by name"):
        split_sources({"test": (LABELS, LABELS)}, ("x", "y"), 1024)
