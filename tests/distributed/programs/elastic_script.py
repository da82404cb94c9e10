"""A plain Keras script on ranks that die and join, with faults at given batches. Each rank prints its results as JSON.

``FAULTS`` in the environment is JSON, a list of ``[action, rank, epoch, batches]``. Each fault happens once: the
process that is ``rank`` acts when it has done so many batches of the epoch. The actions are ``kill`` (SIGKILL),
``raise``, ``hang`` (in Python), ``stop`` (SIGSTOP), and ``join:HOST`` and ``leave:HOST``, which change the file that
the discovery script prints, and wait until Horovod has reported it to rank 0.

``MODEL`` is ``dropout`` or ``uses``. Of the second, the only weights count how often each sample was used.
``LOOP`` replaces ``fit`` by a training loop whose step is defined ``inside`` or ``outside`` of the function.
``RECOVERY`` is ``tfdl``, ``horovod`` (its own ``run`` and ``KerasState``) or ``none`` (a plain ``fit``).
"""

import hashlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfdl
from tfdl import distributed
from tfdl.distributed.elastic import ranks as elastic_ranks

FOLDER = Path(os.environ["FOLDER"])
FAULTS = list(enumerate(json.loads(os.environ["FAULTS"])))
MODEL = os.environ.get("MODEL", "dropout")
RECOVERY = os.environ.get("RECOVERY", "tfdl")
LOOP = os.environ.get("LOOP", "")
COMMIT = int(os.environ.get("COMMIT", "2"))
EPOCHS = 2
RATE = 0.01  # of two ranks
BATCH = 4
SAMPLES = int(os.environ.get("SAMPLES", "96"))
were_notified = threading.Event()


class Notices(elastic_ranks.HostNotices):
    def on_hosts_updated(self, timestamp, result):
        super().on_hosts_updated(timestamp, result)
        were_notified.set()


elastic_ranks.HostNotices = Notices
world = distributed.init(float(os.environ.get("WATCHDOG", "600")), elastic=RECOVERY == "tfdl")
inputs = np.random.default_rng(0).normal(size=(SAMPLES, 8)).astype("float32")
targets = inputs.mean(1, keepdims=True)


class Uses(keras.layers.Layer):
    """One weight for each sample, which is numbered by the only input."""

    def build(self, _):
        self.uses = self.add_weight(shape=(SAMPLES,), initializer="zeros")

    def call(self, numbers):
        return keras.ops.one_hot(keras.ops.cast(numbers[:, 0], "int32"), SAMPLES) * self.uses


class CountUses(keras.optimizers.Optimizer):
    """Subtracts 1 from the weight of each sample in the batch."""

    def update_step(self, gradient, variable, learning_rate):  # noqa: ARG002
        variable.assign_sub(keras.ops.cast(gradient != 0, "float32"))


def build():
    keras.utils.set_random_seed(1 + world.rank)  # the ranks begin with different weights
    if MODEL == "uses":
        model = keras.Sequential([keras.Input((1,)), Uses()])
        model.compile(distributed.DistributedOptimizer(CountUses(1.0)), loss=lambda _, outputs: outputs)
        return model
    layers = [
        keras.layers.Dense(16, activation="relu"),
        tfdl.layers.BatchNormalization(synchronized=True),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((8,)), *layers])
    optimizer = distributed.DistributedOptimizer(keras.optimizers.Adam(RATE))
    model.compile(optimizer, loss="mse", metrics=["mae"])
    return model


class Faults(keras.callbacks.Callback):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def on_train_begin(self, logs=None):  # noqa: ARG002
        self.done_before = self.state.batch

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.state.num_steps += 1
        reached = (world.rank, self.state.epoch, self.done_before + batch + 1)
        for number, (action, *place) in FAULTS:
            if tuple(place) == reached and claim(number):
                act(action)


def claim(number):
    """Whether no process has claimed this fault before."""
    try:
        (FOLDER / f"fault-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def act(action):
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "raise":
        raise ZeroDivisionError("made for the test")
    elif action == "hang":
        while True:
            time.sleep(1)
    else:
        change, host = action.split(":")
        hosts = (FOLDER / "hosts").read_text().replace(f"{host}:1\n", "")
        if change == "join":
            hosts += f"{host}:1\n"
        (FOLDER / "hosts").write_text(hosts)
        assert were_notified.wait(60), "Horovod did not report the change"


def train(state, *others):
    """Trains the epochs that are left. Each epoch has an order of its own, the same for any number of ranks."""
    for epoch in range(state.epoch, EPOCHS):
        order = np.random.default_rng(epoch).permutation(SAMPLES)
        own = order[world.rank :: world.size][state.batch * BATCH :]
        features = own[:, None].astype("float32") if MODEL == "uses" else inputs[own]
        state.model.fit(
            features, targets[own], batch_size=BATCH, shuffle=False, initial_epoch=epoch, epochs=epoch + 1, verbose=0,
            callbacks=[distributed.BroadcastState(), distributed.SyncCheck(), distributed.AverageMetrics(), *others],
        )  # fmt: skip


def digest(model):
    """A digest of the weights."""
    return hashlib.sha256(b"".join(np.asarray(weight).tobytes() for weight in model.weights)).hexdigest()[:16]


def report(state, **results):
    """Prints what this rank has at the end."""
    results |= {"size": world.size, "epoch": state.epoch, "batch": state.batch, "steps": state.num_steps}
    results |= {"changes": state.changes, "rate": float(np.asarray(state.model.optimizer.learning_rate))}
    results["weights"] = digest(state.model)
    if MODEL == "uses":
        (uses,) = state.model.weights
        results["uses"] = sorted(set(np.asarray(uses).tolist()))
    print("end: " + json.dumps(results), flush=True)


class PlainState:
    """The values of a state, for jobs without one."""

    def __init__(self, model):
        self.model = model
        self.epoch = self.batch = self.num_steps = 0
        self.changes = []


def train_in_a_loop(state, step):
    """A training loop with GradientTape, whose batches are those of ``train``."""
    faults = Faults(state)
    for epoch in range(state.epoch, EPOCHS):
        order = np.random.default_rng(epoch).permutation(SAMPLES)
        own = order[world.rank :: world.size]
        faults.on_train_begin()
        while state.batch * BATCH < len(own):
            rows = own[state.batch * BATCH : (state.batch + 1) * BATCH]
            step(tf.constant(inputs[rows]), tf.constant(targets[rows]))
            faults.on_train_batch_end(state.batch - faults.done_before)
            state.batch += 1
            if state.batch % COMMIT == 0 and state.batch * BATCH < len(own):
                state.commit()
        state.epoch += 1
        state.batch = 0
        state.commit()


def make_step(model):
    @tf.function
    def step(features, labels):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(features, training=True) - labels))
        model.optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return step


def run_with_tfdl():
    if "EARLY_COLLECTIVE" in os.environ:
        world.barrier()
    state = distributed.elastic.KerasState(build(), epoch=0, batch=0, num_steps=0, changes=[])

    num_ranks = world.size

    def note():
        nonlocal num_ranks
        state.changes.append([world.size, state.epoch, state.batch])
        state.model.optimizer.learning_rate = RATE * world.size / 2
        if LOOP:  # in which no callback converts it
            state.batch = state.batch * num_ranks // world.size
        num_ranks = world.size

    state.register_reset_callbacks([note])

    outer_step = make_step(state.model)

    @distributed.elastic.run
    def train_elastic(state):
        if LOOP:
            train_in_a_loop(state, outer_step if LOOP == "outside" else make_step(state.model))
            return
        elastic = distributed.elastic
        commit = elastic.CommitStateCallback(state, COMMIT)
        progress = [elastic.UpdateBatchStateCallback(state), elastic.UpdateEpochStateCallback(state)]
        train(state, Faults(state), commit, *progress)  # the commit before them, which must not matter

    train_elastic(state)
    reference = None
    if os.environ.get("REFERENCE"):
        uninterrupted = PlainState(build())
        train(uninterrupted)
        reference = digest(uninterrupted.model)
    report(state, reference=reference)


def run_with_horovod():
    """Horovod's names in place of tfdl's, with tfdl's optimizer, since Horovod's averages nothing."""
    import horovod.tensorflow as hvd
    from horovod.tensorflow.keras import elastic

    hvd.init()
    state = elastic.KerasState(build(), epoch=0, batch=0, num_steps=0, changes=[])

    @elastic.run
    def train_elastic(state):
        train(state, Faults(state), elastic.CommitStateCallback(state, COMMIT))

    train_elastic(state)
    report(state)


def run_plainly():
    state = PlainState(build())
    train(state, Faults(state))
    report(state)


{"tfdl": run_with_tfdl, "horovod": run_with_horovod, "none": run_plainly}[RECOVERY]()
