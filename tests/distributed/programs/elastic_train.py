"""``tfdl train`` with faults at given steps, printing each rank's view of the end.

``FAULTS`` in the environment: JSON, a list of ``[action, rank, step]``. The process that is ``rank`` then acts once it
has seen ``step``, and no other does it again: ``kill`` (SIGKILL), ``raise``, or ``join:HOST``, which adds a host to the
file that the discovery script prints, and waits until Horovod has reported it.

A rank that joins on ``BROKEN_HOST`` dies before it meets the others.

With ``COUNT_USES`` set, the model's only weights count how often each training sample was used, and its optimizer keeps
the step that used it last. So the last checkpoint shows which samples its weights have seen, without the steps that
were undone after a rank was lost.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.cli import progress
from tfdl.cli.failures import launched_rank
from tfdl.cli.main import main
from tfdl.data import ArraySource
from tfdl.distributed import elastic
from tfdl.training import python_parts, run_parts, session

FAULTS = [(number, *fault) for number, fault in enumerate(json.loads(os.environ.get("FAULTS", "[]")))]
FOLDER = Path(os.environ["FOLDER"])
were_notified = threading.Event()


class Notices(elastic.HostNotices):
    def on_hosts_updated(self, timestamp: int, result: Any) -> None:
        super().on_hosts_updated(timestamp, result)
        were_notified.set()


class Faulty(progress.Progress):
    def on_steps(self, report: Any) -> None:
        super().on_steps(report)
        for number, action, rank, step in FAULTS:
            if rank == launched_rank() and report.progress.step >= step and first(number):
                act(action)

    def on_end(self, summary: dict[str, Any]) -> None:
        super().on_end(summary)
        print(f"end: size {summary['world_size']} weights {summary['weights_sha256']}", flush=True)


def first(number: int) -> bool:
    try:
        (FOLDER / f"fault-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise ZeroDivisionError("made for the test")
    else:
        with (FOLDER / "hosts").open("a") as hosts:
            hosts.write(action.removeprefix("join:") + ":1\n")
        assert were_notified.wait(60), "Horovod did not report the new host"


class Uses(keras.layers.Layer):
    """Logits that depend on one weight for each sample. The sample's number is in its first two pixels."""

    def __init__(self, num_examples: int):
        super().__init__(name="uses")
        self._num_examples = num_examples

    def build(self, _: Any) -> None:
        self.uses = self.add_weight(shape=(self._num_examples,), initializer="zeros", name="uses")

    def call(self, images: Any) -> Any:
        pixels = tf.cast(tf.round(images[:, 0, :2, 0] * 255.0), tf.int32)
        number = tf.minimum(pixels[:, 0] * 256 + pixels[:, 1], self._num_examples - 1)
        return tf.one_hot(tf.zeros_like(number), 10) * tf.gather(self.uses, number)[:, None]


class CountUses(keras.optimizers.Optimizer):
    def build(self, variables: Any) -> None:
        super().build(variables)
        self.last = [self.add_variable_from_reference(variable, "last") for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:  # noqa: ARG002
        used = tf.not_equal(gradient, 0)
        variable.assign_sub(tf.cast(used, tf.float32))
        last = self.last[0]
        last.assign(tf.where(used, tf.cast(self.iterations + 1, tf.float32), last))


def open_numbered(*arguments: Any) -> Any:
    task, sources = open_data(*arguments)
    train = sources["train"]
    if not isinstance(train, Numbered):
        sources["train"] = Numbered(train)
    return task, sources


class Numbered(ArraySource):
    def __init__(self, source: Any):
        numbers = np.arange(source.num_examples)
        features = {name: np.array(value) for name, value in source.read(numbers).items()}
        features["image"][:, 0, 0, 0], features["image"][:, 0, 1, 0] = numbers // 256, numbers % 256
        super().__init__(features)


def counting_model(*_: Any, input_shape: Any, **__: Any) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, Uses(1437)(inputs))


if (FOLDER / "fault-0").exists() and os.environ["HOROVOD_HOSTNAME"] == os.environ.get("BROKEN_HOST"):
    sys.exit("this host is broken")
open_data = session.open_data
elastic.HostNotices = Notices
progress.Progress = Faulty
if "COUNT_USES" in os.environ:
    session.open_data = open_numbered
    python_parts.build_model = counting_model
    run_parts.optimizer_for = lambda *_, **__: CountUses(0.01)
main()
