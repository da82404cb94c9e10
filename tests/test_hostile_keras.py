"""Files of Keras objects that would run code, read other files, or take much memory when they are read."""

import json

import pytest

from tfdl.errors import UserError
from tfdl.models.keras_model import load_model
from tfdl.serialization import from_json


def written(name, config, module="keras.layers", registered_name=None):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered_name}


INPUT = written("InputLayer", {"batch_shape": [None, 1000], "dtype": "float32", "name": "input"})


def model_of(*layers):
    return written("Sequential", {"name": "model", "layers": [INPUT, *layers]}, "keras")


HOSTILE = {
    "a SavedModel": written("TFSMLayer", {"filepath": "/tmp/evil", "call_endpoint": "serve"}),
    "a pickle of torch": written("TorchModuleWrapper", {"module": "gASV"}),
    "a function of jax": written("JaxLayer", {"call_fn": "x", "init_fn": "x"}),
    "a module of flax": written("FlaxLayer", {"module": "x"}),
    "a lambda": written("Lambda", {"function": "x"}),
    "a lambda by another path": written("Lambda", {"function": "x"}, "keras.src.layers.core.lambda_layer"),
    "marshalled code": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
    "a lambda of the old format": {
        "class_name": "Lambda",
        "registered_name": "tfdl>BatchNormalization",
        "config": {"function": ["4wEAAAA=", None, None], "function_type": "lambda"},
    },
    "a file as vocabulary": written("StringLookup", {"vocabulary": "/etc/passwd"}),
    "a file as words": written("TextVectorization", {"vocabulary": "/etc/passwd", "standardize": None}),
    "a module to import": written("system", {}, "os"),
    "an attribute of Keras that is no layer": written("KerasFileEditor", {"filepath": "x"}, "keras.saving"),
    "a store of h5": written("H5IOStore", {"root_path": "hacked.h5"}, "keras.src.saving.saving_lib"),
    "a function of utils": {
        "class_name": "function", "module": "builtins", "config": "get_file", "registered_name": "function",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("inner", [False, True])
def test_they_are_refused(name, inner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        from_json(model_of(HOSTILE[name]) if inner else HOSTILE[name], "the model")
    assert str(caught.value).startswith("the model ")
    assert not list(tmp_path.iterdir())


def dense(units):
    return written("Dense", {"units": units, "name": "dense"})


@pytest.mark.parametrize("units", [10**6, 10**8, 2**62])
def test_a_model_that_is_larger_than_its_weights(tmp_path, units):
    (tmp_path / "keras_model.json").write_text(json.dumps(model_of(dense(units))))
    with pytest.raises(
        UserError, match=r"describes a model of [\d,]+ values, but the weights have 5,005|cannot be reb"
    ):
        load_model(tmp_path, lambda _: pytest.fail("built"), most_values=5005)


def test_a_model_of_the_size_of_its_weights(tmp_path):
    """The control."""
    (tmp_path / "keras_model.json").write_text(json.dumps(model_of(dense(5))))
    assert load_model(tmp_path, lambda _: None, most_values=5005).count_params() == 5005


@pytest.mark.parametrize("content", ["[" * 100_000, "[1]", "{", '{"class_name": 5, "config": {}}', '{"a": 1}'])
def test_a_file_that_is_no_model(tmp_path, content):
    (tmp_path / "keras_model.json").write_text(content)
    with pytest.raises(UserError):
        load_model(tmp_path, lambda _: None, most_values=5)
