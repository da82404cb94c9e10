"""``weights_sha256`` is computed as its definition says, so that other programs can compute it."""

import hashlib
import re

import keras
import numpy as np
import pytest

import tfdl
from tfdl.runs import weights_sha256


class Odd(keras.layers.Layer):
    """A scalar, an empty weight, and one of another dtype."""

    def build(self, _):
        self.scalar = self.add_weight(shape=(), name="scalar", initializer=keras.initializers.Constant(0.5))
        self.empty = self.add_weight(shape=(0, 3), name="empty")
        self.whole = self.add_weight(shape=(2,), name="whole", dtype="int32", initializer="ones", trainable=False)

    def call(self, inputs):
        return inputs * self.scalar


@pytest.fixture
def model():
    inputs = keras.Input((2,))
    return keras.Model(inputs, keras.layers.Dense(3, name="dense")(Odd(name="odd")(inputs)))


def test_it_is_computed_as_defined(model):
    content = b""
    for path, dtype, shape, values in [
        ("odd/scalar", "float32", "[]", np.float32(0.5).tobytes()),
        ("odd/empty", "float32", "[0, 3]", b""),
        ("odd/whole", "int32", "[2]", np.ones(2, "<i4").tobytes()),
        ("dense/kernel", "float32", "[2, 3]", np.asarray(model.get_layer("dense").kernel).tobytes()),
        ("dense/bias", "float32", "[3]", np.zeros(3, "<f4").tobytes()),
    ]:
        content += f"{path}\n{dtype}\n{shape}\n".encode() + values
    paths = [weight.path for weight in model.weights]
    assert paths == ["odd/scalar", "odd/empty", "odd/whole", "dense/kernel", "dense/bias"]
    assert weights_sha256(model) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("index", range(5))
def test_one_changed_element_changes_it(model, index):
    before = weights_sha256(model)
    weight = model.weights[index]
    if 0 in weight.shape:
        pytest.skip("nothing to change")
    value = np.array(weight)
    value.flat[-1] += np.asarray(1, value.dtype)
    weight.assign(value)
    assert weights_sha256(model) != before


def test_negative_zero_changes_it(model):
    before = weights_sha256(model)
    model.get_layer("dense").bias.assign(np.array([0.0, -0.0, 0.0]))
    assert weights_sha256(model) != before


def test_random_state_is_not_a_weight():
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=2, filters=(2,), dropout=0.5)
    before = weights_sha256(model)
    model.get_layer("dropout")(np.ones((1, 4), "float32"), training=True)
    assert weights_sha256(model) == before
    assert re.fullmatch("[0-9a-f]{64}", before)
