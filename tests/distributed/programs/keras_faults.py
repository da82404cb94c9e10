"""A plain Keras script with mistakes: ``keras_faults.py FOLDER CASE [CASE ...]`` prints each case's error.

After all cases but the last, all ranks must be able to continue. The last case may end the job.
"""

import copy
import pickle
import sys
from unittest.mock import patch

import horovod.tensorflow.keras
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl import distributed
from tfdl.errors import RunError, UserError
from tfdl.optimizers import Adam

world = distributed.init()
X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
Y = X[:, :1] > 0
wrap = distributed.DistributedOptimizer


def network():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])


def callbacks(*more):
    return [distributed.BroadcastState(), distributed.SyncCheck(3), distributed.AverageMetrics(), *more]


def fit(model, *data, **options):
    """Trains on the given data, by default on this rank's half of X and Y."""
    if not data:
        data = (X[world.rank :: 2], Y[world.rank :: 2])
    options = {"epochs": 2, "batch_size": 4, "verbose": 0, "callbacks": callbacks(), **options}
    return model.fit(*data, **options)


def compiled(optimizer=None, model=None, **options):
    model = model or network()
    model.compile(optimizer=optimizer or wrap(keras.optimizers.Adam(0.1)), loss="mse", **options)
    return model


def plain_after_loading():
    model = compiled()
    fit(model, epochs=1)
    path = f"{sys.argv[1]}/rank{world.rank}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded.optimizer) is keras.optimizers.Adam
    assert int(loaded.optimizer.iterations) == 4
    fit(loaded)


def plain_after_loading_without_callbacks():
    """This fit has none of tfdl's callbacks. A rank that trains a separate model passes its own world."""
    model = keras.saving.load_model(f"{sys.argv[1]}/rank{world.rank}.keras")
    separate = keras.saving.load_model(f"{sys.argv[1]}/rank{world.rank}.keras")
    separate.optimizer = wrap(separate.optimizer, world=distributed.SingleWorld())
    if world.is_chief:
        fit(separate, callbacks=[])
    fit(model, callbacks=[])


def plain_in_train_on_batch():
    model = keras.saving.load_model(f"{sys.argv[1]}/rank{world.rank}.keras")
    model.train_on_batch(X[:4], Y[:4])


def wrapped_after_loading():
    model = keras.saving.load_model(f"{sys.argv[1]}/rank{world.rank}.keras")
    model.optimizer = wrap(model.optimizer)
    fit(model)
    assert int(model.optimizer.iterations) == 12


def loaded_by_one_rank_between_fits():
    """Rank 0 traces its step again, and rank 1 does not. SyncCheck compares the ranks at the end."""
    model = compiled()
    fit(model)
    if world.is_chief:
        path = f"{sys.argv[1]}/chief.keras"
        model.save(path)
        model = keras.saving.load_model(path)
        model.optimizer = wrap(model.optimizer)
    fit(model)


def wrapped_by_horovod():
    fit(compiled(horovod.tensorflow.keras.DistributedOptimizer(keras.optimizers.Adam(0.1))))


def wrapped_by_horovod_too():
    compiled(wrap(horovod.tensorflow.keras.DistributedOptimizer(keras.optimizers.Adam(0.1))))


def plain_in_gan():
    sys.path.insert(0, __file__.rpartition("/")[0])
    from keras_io import gan

    gan.train(world, wrap=lambda optimizer: optimizer)


def default_optimizer():
    """The script wraps its own optimizer, but ``compile`` makes a plain RMSprop by default, which Keras then uses."""

    class TwoOptimizers(keras.Model):
        def __init__(self):
            super().__init__()
            self.net = network()

        def compile(self, other):
            super().compile(loss="mse")
            self.other = other

        def call(self, inputs):
            return self.net(inputs)

    model = TwoOptimizers()
    model.compile(wrap(keras.optimizers.SGD(0.1)))
    fit(model)


def without_broadcast():
    fit(compiled(), callbacks=[])


def other_model():
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model = network() if world.is_chief else other
    fit(compiled(model=model))


def eager_and_unbuilt():
    model = keras.Sequential([keras.layers.Dense(1)])
    fit(compiled(model=model, run_eagerly=True))


def unequal_pydataset():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3 + world.rank

        def __getitem__(self, index):
            return X[:4], Y[:4]

    fit(compiled(), Batches())


def in_mixed_precision():
    """SyncCheck would find ranks that differ, at the third step and at the end.

    In float16 the gradients overflow on rank 1 only, and all ranks must lower their loss scale.
    """
    for policy, compression in (("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")):
        keras.config.set_dtype_policy(policy)
        try:
            optimizer = wrap(keras.optimizers.Adam(0.1, clipnorm=0.5), compression=compression)
            model = compiled(optimizer)
        finally:
            keras.config.set_dtype_policy("float32")
        overflows = world.rank == 1 and policy == "mixed_float16"
        sample_weight = np.full(16, 1e6 if overflows else 1.0)
        fit(model, X[world.rank :: 2], Y[world.rank :: 2], sample_weight=sample_weight)
        if policy == "mixed_float16":
            assert float(model.optimizer.dynamic_scale) < 2**15


def eagerly():
    fit(compiled(run_eagerly=True), epochs=1)


def xla_requested():
    model = compiled(jit_compile=True)
    fit(model)
    assert model.jit_compile is False


def xla_as_keras_chooses_on_a_gpu():
    gpu = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]
    for train in (fit, fit_in_a_loop):
        with patch("tensorflow.config.list_physical_devices", lambda *_: gpu):
            model = compiled()
        assert model.jit_compile is True
        train(model)
        assert model.jit_compile is False


def fit_in_a_loop(model):
    replicas = distributed.Replicas(model, model.optimizer, check_every=1)
    replicas.broadcast(steps=3)
    for step in range(1, 4):
        model.train_on_batch(X[world.rank :: 2], Y[world.rank :: 2])
        replicas.check(step)
    replicas.finish()


def an_optimizer_for_each_layer():
    """Keras passes gradients on to several optimizers. SyncCheck would find ranks that do not average."""
    by_layer = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), {".*kernel": keras.optimizers.Adam(0.1)})
    model = compiled(wrap(keras.optimizers.MultiOptimizer(by_layer)))
    fit(model)
    path = f"{sys.argv[1]}/several{world.rank}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    loaded.optimizer = wrap(loaded.optimizer)
    fit(loaded)


def copied_and_saved():
    """A registered optimizer. SyncCheck would find ranks that do not average, and rank 1 has other data."""
    optimizer = wrap(Adam(0.1), compression="bfloat16")
    path = f"{sys.argv[1]}/copied{world.rank}.keras"
    for way in (copy.copy, copy.deepcopy, lambda of: pickle.loads(pickle.dumps(of))):
        model = compiled(way(optimizer))
        fit(model, epochs=1)
        model.save(path)
        for plain in (keras.saving.load_model(path), keras.models.clone_model(model)):
            assert type(plain.optimizer) is Adam
            with pytest.raises(UserError, match="2 ranks train with a plain Adam"):
                fit(plain)


def several_random_streams():
    """A model with its own random stream, and a layer with a list of them."""

    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.streams = [keras.random.SeedGenerator(seed) for seed in (1, 2)]

        def call(self, inputs):
            for stream in self.streams:
                inputs += keras.random.normal(tf.shape(inputs), seed=stream)
            return inputs

    class Variational(keras.Model):
        def __init__(self):
            super().__init__()
            self.stream = keras.random.SeedGenerator(3)
            self.noise = Noise()
            self.net = network()

        def call(self, inputs):
            factors = keras.random.uniform(tf.shape(inputs), seed=self.stream)
            return self.net(self.noise(inputs) * factors)

    model = compiled(model=Variational())
    fit(model)
    states = [np.asarray(stream.state).tolist() for stream in (*model.noise.streams, model.stream)]
    rank_0, rank_1 = world.all_gather_object(states)
    seeds = {seed for seed, _ in rank_0 + rank_1}
    assert len(seeds) == 6, (rank_0, rank_1)
    assert [counter for _, counter in rank_0] == [counter for _, counter in rank_1]


def metric_that_is_not_a_sum():
    """A sum over the ranks would be the sum of their largest errors."""

    class LargestError(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="largest_error")
            self.largest = self.add_variable((), "zeros", name="largest")

        def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
            error = keras.ops.max(keras.ops.abs(keras.ops.cast(y_true, "float32") - y_pred))
            self.largest.assign(keras.ops.maximum(self.largest, error))

        def result(self):
            return self.largest

    model = compiled(metrics=[LargestError()])
    model.evaluate(X, Y, callbacks=[distributed.AverageMetrics()], verbose=0)


def xla_left_on():
    """The control: XLA, as Keras chooses it on a GPU, cannot compile Horovod's operations."""
    model = compiled()
    distributed.Replicas(model, model.optimizer).broadcast()
    train_step = tf.function(model.train_step, jit_compile=True)
    try:
        train_step((tf.constant(X[:4]), tf.constant(Y[:4])))
    except tf.errors.InvalidArgumentError as error:
        reason = "HorovodAllreduce" if "HorovodAllreduce" in str(error) else str(error)
        raise RunError(f"XLA refuses {reason}") from error


def unequal_batches():
    """The sizes of the batches are not known before they are read."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return X[: 4 + world.rank], Y[: 4 + world.rank]

    fit(compiled(), Batches())


def unequal_arrays():
    """As many steps on both ranks, but a smaller last batch on rank 1."""
    fit(compiled(), X[world.rank : 23 : 2], Y[world.rank : 23 : 2])


def unequal_shards():
    samples = tf.data.Dataset.from_tensor_slices((X[:23], Y[:23])).shard(2, world.rank)
    fit(compiled(), samples.shuffle(9).batch(4).prefetch(1), batch_size=None)


def unequal_shards_without_the_last_batch():
    samples = tf.data.Dataset.from_tensor_slices((X[:23], Y[:23])).shard(2, world.rank)
    fit(compiled(), samples.batch(4, drop_remainder=True), batch_size=None)


def validates_alone():
    fit(compiled(), validation_split=0.25 if world.rank else 0.0, steps_per_epoch=3)


def validates_less_often():
    fit(compiled(), validation_data=(X, Y), validation_freq=1 + world.rank)


def validates_alone_without_averages():
    """Validation has no collectives then."""
    held_out = (X, Y) if world.is_chief else None
    fit(compiled(), validation_data=held_out, callbacks=callbacks()[:2])


def validates_other_steps():
    history = fit(compiled(), validation_data=(X, Y), validation_steps=3 - world.rank).history
    assert world.all_gather_object(history) == [history] * 2


def trains_longer():
    fit(compiled(), epochs=3 + world.rank)


def averages_alone():
    fit(compiled(), callbacks=callbacks() if world.is_chief else callbacks()[:2])


def evaluates_alone():
    if world.is_chief:
        compiled().evaluate(X, Y, callbacks=[distributed.AverageMetrics()], verbose=0)
    else:
        fit(compiled())


def backs_up_alone():
    backup = [keras.callbacks.BackupAndRestore(f"{sys.argv[1]}/backup")] if world.rank else []
    fit(compiled(), callbacks=callbacks(*backup))


def backs_up_in_one_folder():
    fit(compiled(), callbacks=callbacks(keras.callbacks.BackupAndRestore(f"{sys.argv[1]}/x/../backup")))


def backs_up_in_two_folders():
    fit(compiled(), callbacks=callbacks(keras.callbacks.BackupAndRestore(f"{sys.argv[1]}/backup-{world.rank}")))


def restored_alone():
    class Restore(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):  # noqa: ARG002
            self.model._initial_epoch = world.rank

    fit(compiled(), callbacks=callbacks(Restore()))


def without_input_in_loops():
    """The first step builds the layers; all ranks begin with rank 0's weights."""
    fit_in_a_loop(compiled(model=keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])))

    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.1), keras.layers.Dense(1)])
    optimizer = wrap(keras.optimizers.Adam(0.1))
    replicas = distributed.Replicas(model, optimizer, check_every=1)
    replicas.broadcast()

    @tf.function
    def train_step(inputs, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(inputs, training=True) - targets) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for step in range(1, 4):
        train_step(X[world.rank :: 2], tf.cast(Y[world.rank :: 2], tf.float32))
        replicas.check(step)
    replicas.finish()


def other_bins():
    bins = keras.layers.Discretization(num_bins=3)
    bins.adapt(X[world.rank :: 2])
    fit(compiled(model=keras.Sequential([keras.Input((3,)), bins, keras.layers.Dense(1)])))


def other_statistics():
    """The model is traced with this rank's own statistics first; then all ranks use rank 0's."""
    normalization = keras.layers.Normalization()
    normalization.adapt(X[world.rank :: 2] * (1 + world.rank))
    model = compiled(model=keras.Sequential([keras.Input((3,)), normalization, keras.layers.Dense(1)]))
    model.predict(X, verbose=0)
    fit(model)
    outputs = world.all_gather_object(model.predict(X, verbose=0))
    np.testing.assert_array_equal(*outputs)


def no_gradient_on_rank_1():
    class Auxiliary(keras.Model):
        def __init__(self):
            super().__init__()
            self.main = keras.layers.Dense(1)
            self.other = keras.layers.Dense(1, name="other")

        def call(self, inputs):
            other = self.other(inputs)
            return self.main(inputs) + (other if world.is_chief else 0.0)

    fit(compiled(model=Auxiliary()))


def local_plateau():
    """Like a ReduceLROnPlateau before AverageMetrics, which decides by each rank's own metrics."""

    class LowerRate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            self.model.optimizer.learning_rate = 0.1 / (1 + world.rank)

    fit(compiled(), callbacks=callbacks(LowerRate()))


def stops_alone_after_an_epoch():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            self.model.stop_training = world.rank == 1

    fit(compiled(), callbacks=callbacks(Stop()))


def stops_alone_in_an_epoch():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
            self.model.stop_training = world.rank == 1 and batch == 1

    fit(compiled(), callbacks=callbacks(Stop()))


def runs_out_of_data(**options):
    """A data set of unknown length: 7 batches on rank 0, 5 on rank 1."""

    def batches():
        for _ in range(7 - 2 * world.rank):
            yield X[:4], Y[:4]

    signature = (tf.TensorSpec((4, 3), tf.float32), tf.TensorSpec((4, 1), tf.bool))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    fit(compiled(**options), dataset, batch_size=None)


def runs_out_of_data_with_several_steps_a_call():
    runs_out_of_data(steps_per_execution=3)


def runs_out_of_data_with_synchronized_statistics():
    from tfdl.layers import BatchNormalization

    model = keras.Sequential([keras.Input((3,)), BatchNormalization(synchronized=True), keras.layers.Dense(1)])
    runs_out_of_data(model=model)


for case in sys.argv[2:]:
    keras.utils.set_random_seed(world.rank)
    try:
        globals()[case]()
    except (UserError, RunError) as error:
        print(f"{case}: {type(error).__name__}: {error}", flush=True)
    else:
        print(f"{case}: no error", flush=True)
