"""Small trained-like models without a run: what they predict does not matter, only that all ways agree."""

import keras
import numpy as np
import pytest

import tfdl
from tfdl.data.tokenizers import ByteTokenizer
from tfdl.inference.inputs.opening import inputs_of_objects
from tfdl.inference.predictor import Predictor, compiled
from tfdl.tasks import ImageClassification, LanguageModeling, TextClassification, Translation

CLASSES = ("no", "yes", "Hündin")


@pytest.fixture(scope="session")
def photos():
    """A task of 8x8 images in colours, which it resizes, and its model."""
    keras.utils.set_random_seed(0)
    task = ImageClassification((8, 8, 3), CLASSES, resized=True)
    return task, tfdl.build_model("cnn", filters=(4,), units=8, **task.model_arguments)


@pytest.fixture(scope="session")
def scans():
    """A task of 8x8 images in shades of grey, which it does not resize."""
    keras.utils.set_random_seed(0)
    task = ImageClassification((8, 8, 1), CLASSES, resized=False)
    return task, tfdl.build_model("cnn", filters=(4,), units=8, **task.model_arguments)


@pytest.fixture(scope="session")
def reviews():
    """A task of texts of at most 16 tokens, with their class."""
    keras.utils.set_random_seed(0)
    task = TextClassification(ByteTokenizer(), CLASSES, 16)
    return task, tfdl.build_model("rnn", units=8, **task.model_arguments)


@pytest.fixture(scope="session", params=["transformer", "rnn"])
def language(request):
    """A language model with windows of 8 tokens, and one that carries its state."""
    keras.utils.set_random_seed(0)
    task = LanguageModeling(ByteTokenizer(), 8, carries_state=request.param == "rnn")
    sizes = {"rnn": {"units": 8, "num_layers": 1}, "transformer": {"hidden_dim": 16, "num_heads": 2, "num_layers": 1}}
    return task, tfdl.build_model(request.param, **sizes[request.param], **task.model_arguments)


@pytest.fixture(scope="session")
def translator():
    keras.utils.set_random_seed(0)
    task = Translation(ByteTokenizer(), 12)
    sizes = {"architecture": "encoder-decoder", "hidden_dim": 16, "num_heads": 2, "num_layers": 1}
    return task, tfdl.build_model("transformer", **sizes, **task.model_arguments)


@pytest.fixture(scope="session")
def images():
    """uint8 images of three sizes."""
    random = np.random.default_rng(0)
    sizes = [(8, 8), (20, 31), (9, 5)] * 7
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.fixture
def answers():
    """``answers(setting, inputs)``: the records of a task and its model."""

    def predict(setting, inputs, top_k=None, **options):
        task, model = setting
        opened = inputs_of_objects(task, inputs)
        prediction = task.prediction(top_k)
        predictor = Predictor(prediction, compiled(model, prediction), opened.load, **options)
        return [record for _, record in predictor.answers(opened.items)]

    return predict
