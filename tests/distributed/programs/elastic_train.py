"""``tfdl train`` with faults at given steps. Each rank prints the size of the job and its weights' digest at the end.

``FAULTS`` in the environment is JSON, a list of ``[action, rank, step]``. Each fault happens once: the process that is
``rank`` acts when it reaches ``step``. The actions are ``kill`` (SIGKILL), ``raise``, ``hang`` (in Python), and
``join:HOST``, which adds a host to the file that the discovery script prints and waits until Horovod has reported it.

A rank that joins on ``BROKEN_HOST`` dies before it connects to the others.

With ``COUNT_USES`` set, the model's only weights count how often each training sample was used, and its optimizer keeps
the last step that used it. So the last checkpoint shows which samples its weights depend on. Steps that were undone
after a rank was lost are not in it.
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
from tfdl.distributed.elastic import ranks
from tfdl.training import python_parts, run_parts, session

FAULTS = [(number, *fault) for number, fault in enumerate(json.loads(os.environ.get("FAULTS", "[]")))]
FOLDER = Path(os.environ["FOLDER"])
were_notified = threading.Event()


class Notices(ranks.HostNotices):
    def on_hosts_updated(self, timestamp: int, result: Any) -> None:
        super().on_hosts_updated(timestamp, result)
        were_notified.set()


class Faulty(progress.Progress):
    def on_steps(self, report: Any) -> None:
        super().on_steps(report)
        for number, action, rank, step in FAULTS:
            is_due = rank == launched_rank() and report.progress.step >= step
            if is_due and claim(number):
                act(action)

    def on_end(self, summary: dict[str, Any]) -> None:
        super().on_end(summary)
        print(f"end: size {summary['world_size']} weights {summary['weights_sha256']}", flush=True)


def claim(number: int) -> bool:
    """Whether no process has claimed this fault before."""
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
    elif action == "hang":
        threading.Event().wait()
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
        pixels = tf.cast(tf.round(images[:, 0, :2, 0] * 255.0), tf.int32)  # (batch, 2)
        number = tf.minimum(pixels[:, 0] * 256 + pixels[:, 1], self._num_examples - 1)  # (batch,)
        return tf.one_hot(tf.zeros_like(number), 10) * tf.gather(self.uses, number)[:, None]


class CountUses(keras.optimizers.Optimizer):
    """Subtracts 1 from the weight of each sample in the batch, and keeps the step."""

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
    """The same samples with each sample's number in its first two pixels."""

    def __init__(self, source: Any):
        numbers = np.arange(source.num_examples)
        features = {name: np.array(value) for name, value in source.read(numbers).items()}
        images = features["image"]
        images[:, 0, 0, 0] = numbers // 256
        images[:, 0, 1, 0] = numbers % 256
        super().__init__(features)


def counting_model(*_: Any, input_shape: Any, **__: Any) -> keras.Model:
    inputs = keras.Input(input_shape)
    logits = Uses(1437)(inputs)
    return keras.Model(inputs, logits)


if (FOLDER / "fault-0").exists() and os.environ["HOROVOD_HOSTNAME"] == os.environ.get("BROKEN_HOST"):
    sys.exit("this host is broken")
open_data = session.open_data
ranks.HostNotices = Notices
progress.Progress = Faulty
if "COUNT_USES" in os.environ:
    session.open_data = open_numbered
    python_parts.build_model = counting_model
    run_parts.optimizer_for = lambda *_, **__: CountUses(0.01)
main()
