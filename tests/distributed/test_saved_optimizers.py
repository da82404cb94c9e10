"""What Keras does with an optimizer, done with one from ``DistributedOptimizer``: save, load, clone, copy, pickle."""

import copy
import json
import pickle
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ThreadWorld
from tfdl.distributed import DistributedOptimizer, SingleWorld
from tfdl.distributed.optimizer import forbid, inner_optimizers, is_distributed, undo
from tfdl.errors import UserError
from tfdl.optimizers import SGD, Adam, AdamW


@keras.saving.register_keras_serializable(package="tests")
class Halved(keras.optimizers.SGD):
    """A registered optimizer of a user, with the name of no optimizer of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient / 2, variable, learning_rate)


class Unregistered(keras.optimizers.SGD):
    """An optimizer that a script passes as a custom object."""


def several():
    kinds = {".*bias": keras.optimizers.SGD(0.25)}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(Adam(0.25), kinds))


REGISTERED = {
    "keras": lambda: keras.optimizers.Adam(0.25, beta_1=0.5),
    "tfdl-adam": lambda: Adam(0.25, beta_1=0.5),
    "tfdl-adamw": lambda: AdamW(0.25, weight_decay=0.5),
    "tfdl-sgd": lambda: SGD(0.25, momentum=0.5, clipnorm=1.0),
    "user": lambda: Halved(0.25, momentum=0.5),
    "loss-scale": lambda: keras.optimizers.LossScaleOptimizer(Adam(0.25), initial_scale=4.0),
    "several": several,
}
each_registered = pytest.mark.parametrize("make", REGISTERED.values(), ids=REGISTERED)
OPTIONS = {"compression": "bfloat16", "sparse_as_dense": False, "bucket_bytes": 123}


def same(optimizer):
    """Pickles of an optimizer itself, copies, and what its class makes."""
    return {
        "copy": copy.copy(optimizer),
        "deepcopy": copy.deepcopy(optimizer),
        "pickle": pickle.loads(pickle.dumps(optimizer)),
        "from_config": type(optimizer).from_config(optimizer.get_config()),
    }


def compiled(optimizer):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="tanh"), keras.layers.Dense(1)])
    model.compile(optimizer, loss=keras.losses.MeanSquaredError(), run_eagerly=True)
    return model


def fit(model, first=0):
    """Trains two steps, on data that depends on the number ``first``."""
    random = np.random.default_rng(first)
    model.fit(random.normal(size=(8, 3)), random.normal(size=(8, 1)), batch_size=4, shuffle=False, verbose=0)
    return model


def configuration_in(path):
    """The optimizer's configuration in a file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))["compile_config"]["optimizer"]


@each_registered
def test_a_copy_of_a_wrapped_optimizer_is_wrapped_with_the_same_options(make):
    optimizer = DistributedOptimizer(make(), **OPTIONS)
    for way, result in same(optimizer).items():
        assert is_distributed(result), way
        assert result is not optimizer, way
        assert result._reduction == optimizer._reduction, way
        assert result.__class__ is make().__class__, way
        assert result.get_config() == optimizer.get_config(), way
        assert not any(is_distributed(inner) for inner in inner_optimizers(result)), way  # not averaged twice


@each_registered
def test_a_copy_averages(ranks, make):
    """Opposite gradients cancel out, so the variable stays where it is; a plain optimizer would move it."""
    copies_by_rank = [same(DistributedOptimizer(make())) for _ in range(2)]
    for way in copies_by_rank[0]:
        world = ranks(2)
        kernels = [keras.Variable([[1.0]], name="kernel") for _ in range(2)]
        optimizers = [copies[way] for copies in copies_by_rank]
        for optimizer, kernel in zip(optimizers, kernels, strict=True):
            optimizer.weight_decay = None
            optimizer.build([kernel])
        gradients = [tf.constant([[1.0]]), tf.constant([[-1.0]])]
        with pytest.raises(UserError, match="2 ranks start training without a common state"):
            world.run(lambda rank: optimizers[rank].apply([gradients[rank]], [kernels[rank]]))  # noqa: B023
        world = ranks(2)
        for optimizer in optimizers:
            optimizer._share_state = None  # as after a broadcast
        world.run(lambda rank: optimizers[rank].apply([gradients[rank]], [kernels[rank]]))  # noqa: B023
        for kernel in kernels:
            np.testing.assert_array_equal(kernel, [[1.0]], err_msg=way)


@each_registered
def test_keras_s_configuration_is_of_the_plain_optimizer(make):
    plain = make()
    expected = keras.saving.serialize_keras_object(plain)
    optimizer = DistributedOptimizer(plain, **OPTIONS)
    assert keras.saving.serialize_keras_object(optimizer) == expected
    results = {
        "deserialize_keras_object": keras.saving.deserialize_keras_object(expected),
        "optimizers.deserialize": keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)),
        "the plain class": optimizer.__class__.from_config(optimizer.get_config()),
    }
    for way, result in results.items():
        assert type(result) is make().__class__, way
        assert result.get_config() == make().__class__.from_config(optimizer.get_config()).get_config(), way
    assert is_distributed(optimizer)


@each_registered
def test_a_loaded_model_has_the_plain_optimizer_and_continues_exactly(make, tmp_path):
    model = compiled(DistributedOptimizer(make()))
    plain_model = compiled(make())
    fit(model)
    model.save(tmp_path / "model.keras")
    plain_model.save(tmp_path / "plain.keras")
    saved = configuration_in(tmp_path / "model.keras")
    assert _without_names(saved) == _without_names(configuration_in(tmp_path / "plain.keras"))
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is make().__class__
    assert not any(is_distributed(inner) for inner in inner_optimizers(loaded.optimizer))
    for variable, expected in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(variable, expected)
    loaded.optimizer = DistributedOptimizer(loaded.optimizer)
    fit(model, first=1)
    fit(loaded, first=1)
    for value, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def _without_names(configuration):
    """Keras numbers the names of optimizers."""
    if isinstance(configuration, dict):
        return {key: _without_names(value) for key, value in configuration.items() if key != "name"}
    return configuration


@each_registered
def test_a_model_s_copy_has_the_plain_optimizer(make):
    """As a loaded one: Keras makes it from the model's configuration."""
    model = fit(compiled(DistributedOptimizer(make())))
    copies = {
        "clone_model": keras.models.clone_model(model),
        "deepcopy": copy.deepcopy(model),
        "pickle": pickle.loads(pickle.dumps(model)),
    }
    for way, copied in copies.items():
        assert type(copied.optimizer) is make().__class__, way
        fit(copied)


@pytest.mark.parametrize("name", ["keras", "tfdl-adam", "tfdl-adamw", "tfdl-sgd", "user"])
@pytest.mark.filterwarnings("ignore")
def test_in_an_h5_file(name, tmp_path):
    make = REGISTERED[name]
    model = fit(compiled(DistributedOptimizer(make())))
    model.save(tmp_path / "model.h5")
    loaded = keras.saving.load_model(tmp_path / "model.h5")
    assert type(loaded.optimizer) is type(make())
    assert loaded.optimizer.get_config() == model.optimizer.get_config()


def test_an_unregistered_class_is_a_custom_object(tmp_path):
    model = fit(compiled(DistributedOptimizer(Unregistered(0.25))))
    model.save(tmp_path / "model.keras")
    with pytest.raises(TypeError, match="Could not locate class 'Unregistered'"):
        keras.saving.load_model(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Unregistered": Unregistered})
    assert type(loaded.optimizer) is Unregistered


def test_a_copy_averages_over_the_same_ranks_and_a_pickle_cannot():
    world = ThreadWorld(2)
    optimizer = DistributedOptimizer(Adam(), world=world)
    assert copy.copy(optimizer)._reduction.world is world
    assert copy.deepcopy(optimizer)._reduction.world is world
    assert type(optimizer).from_config(optimizer.get_config())._reduction.world is world
    with pytest.raises(UserError, match=r"world=\.\.\.\) cannot be pickled, because its ranks belong to this job"):
        pickle.dumps(optimizer)
    alone = pickle.loads(pickle.dumps(DistributedOptimizer(Adam(), world=SingleWorld())))
    assert isinstance(alone._reduction.world, SingleWorld)


def test_a_state_of_a_user_s_own_is_copied():
    class Counting(keras.optimizers.SGD):
        def __reduce__(self):
            return Counting, (), {"count": self.count}

        def __setstate__(self, state):
            self.count = state["count"]

    optimizer = Counting()
    optimizer.count = 7
    copied = copy.copy(DistributedOptimizer(optimizer))
    assert is_distributed(copied)
    assert copied.count == 7


def test_an_optimizer_that_must_not_step_is_saved_too(tmp_path):
    model = compiled(Adam(0.25))
    forbid(model.optimizer)
    model.save(tmp_path / "model.keras")
    for optimizer in (
        keras.saving.load_model(tmp_path / "model.keras").optimizer,
        pickle.loads(pickle.dumps(model.optimizer)),
        undo(model.optimizer),
    ):
        assert type(optimizer) is Adam


def test_tensorflow_s_checkpoints(tmp_path):
    model = fit(compiled(DistributedOptimizer(Adam(0.25))))
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "checkpoint")
    saved = [np.asarray(variable) for variable in model.optimizer.variables]
    fit(model)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).restore(path)
    for variable, value in zip(model.optimizer.variables, saved, strict=True):
        np.testing.assert_array_equal(variable, value)


# Run in a process that has not imported tfdl. Prints the class that each file gives.
ELSEWHERE = """
import pickle, sys, warnings
import keras
warnings.simplefilter("ignore")
folder = sys.argv[1]
for name in ("keras.keras", "tfdl.h5", "tfdl.keras"):
    try:
        optimizer = keras.saving.load_model(f"{folder}/{name}").optimizer
    except (TypeError, ValueError) as error:
        print(name, str(error).partition(".")[0])
    else:
        print(name, type(optimizer).__module__, type(optimizer).__name__, float(optimizer.learning_rate))
assert "tfdl" not in sys.modules
with open(f"{folder}/optimizer.pickle", "rb") as file:
    optimizer = pickle.load(file)
from tfdl.distributed.optimizer import is_distributed
print("pickle", optimizer.__class__.__module__, is_distributed(optimizer), float(optimizer.learning_rate))
"""


@pytest.mark.filterwarnings("ignore")
def test_in_a_process_without_tfdl(tmp_path):
    of_keras = compiled(DistributedOptimizer(keras.optimizers.Adam(0.25)))
    of_keras.save(tmp_path / "keras.keras")
    optimizer = DistributedOptimizer(Adam(0.25, name="adam"))  # Keras would take its own Adam for this name
    of_tfdl = compiled(optimizer)
    of_tfdl.save(tmp_path / "tfdl.keras")
    of_tfdl.save(tmp_path / "tfdl.h5")
    (tmp_path / "optimizer.pickle").write_bytes(pickle.dumps(optimizer))
    lines = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines == [
        "keras.keras keras.src.optimizers.adam Adam 0.25",
        "tfdl.h5 Could not interpret optimizer identifier: tfdl>adam",
        "tfdl.keras Could not locate class 'Adam'",
        "pickle tfdl.optimizers.adam True 0.25",
    ]
