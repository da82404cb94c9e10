"""``tfdl train`` with a fault on one rank after step 6 or FAULT_STEP: ``faulty_train.py CASE RANK OPTION...``."""

import os
import signal
import sys
import time

import psutil

import tfdl.training
from tfdl.cli.main import main
from tfdl.distributed import current_world, long_work

CASE = sys.argv[1]
RANK = int(sys.argv[2])
STEP = int(os.environ.get("FAULT_STEP", "6"))
LONG = 5.0  # seconds, longer than the timeout of the test
train = tfdl.training.train


def never_returns():
    while True:
        time.sleep(1)


def fail():
    print("FAULT", flush=True)
    if CASE == "hang":
        never_returns()
    if CASE == "raise":
        raise ValueError("not an image")
    if CASE == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if CASE == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if CASE == "long":
        with long_work("thinking"):
            time.sleep(LONG)
    if CASE == "cut off":  # the test cuts the link when it reads the mark
        while psutil.net_if_stats()["eth0"].isup:
            time.sleep(0.01)


class Fault(tfdl.training.Callback):
    def on_steps(self, report):
        if current_world().rank == RANK and report.progress.step == STEP:
            fail()


def slow_to_compile():
    """Makes the graph slow to trace on this rank, after its collectives have been added."""
    from tfdl.training import trainer

    trainer.reduce_gradients = slowly(trainer.reduce_gradients, RANK, "compiled")


def slow_to_prepare_and_save():
    """Makes rank 0 slow while the other ranks wait for it."""
    from tfdl.config import TASKS
    from tfdl.training import checkpoint_writer

    image_task = TASKS.load("image-classification")
    image_task.open = slowly(image_task.open, 0, "prepared")
    checkpoint_writer.write_checkpoint = slowly(checkpoint_writer.write_checkpoint, 0, "saved")


def slowly(function, rank, done):
    """The same function, which takes longer on one rank.

    Args:
        function: The function to slow down.
        rank: The rank on which it is slow.
        done: What it did, for the line that it prints at the end.
    """

    def work(*args, **kwargs):
        result = function(*args, **kwargs)
        if current_world().rank == rank:
            time.sleep(LONG)
            print(f"{done} slowly", flush=True)
        return result

    return work


def faulty(*args, callbacks=(), **kwargs):
    return train(*args, callbacks=[*callbacks, Fault()], **kwargs)


if CASE == "long":
    slow_to_compile()
    slow_to_prepare_and_save()
tfdl.training.train = faulty
main(["train", "--set", "steps_per_execution=1", *sys.argv[3:]])
