"""``tfdl train`` with a fault: ``faulty_train.py CASE RANK OPTION...``; it is met after step 6 or FAULT_STEP."""

import os
import signal
import sys
import time

import psutil

import tfdl.training
from tfdl.cli.main import main
from tfdl.distributed import current_world, long_work

CASE, RANK = sys.argv[1], int(sys.argv[2])
STEP = int(os.environ.get("FAULT_STEP", "6"))
LONG = 5.0  # seconds: longer than the timeout of the test
train = tfdl.training.train


def never_returns():
    while True:
        time.sleep(1)


def meet():
    print("FAULT", flush=True)
    if CASE == "hang":
        never_returns()
    if CASE == "raise":
        raise ValueError("a picture that is none")
    if CASE in ("stop", "kill"):
        os.kill(os.getpid(), signal.SIGSTOP if CASE == "stop" else signal.SIGKILL)
    if CASE == "long":
        with long_work("thinking"):
            time.sleep(LONG)
    if CASE == "cut off":  # by whoever reads the mark
        while psutil.net_if_stats()["eth0"].isup:
            time.sleep(0.01)


class Fault(tfdl.training.Callback):
    def on_steps(self, report):
        if current_world().rank == RANK and report.progress.step == STEP:
            meet()


def slow_to_compile():
    """A graph that takes this rank long to trace, once its collectives are in it."""
    from tfdl.training import trainer

    trainer.reduce_gradients = slowly(trainer.reduce_gradients, RANK, "compiled")


def slow_to_prepare_and_save():
    """What rank 0 does while the others wait for it."""
    from tfdl.config import TASKS
    from tfdl.training import session

    image_task = TASKS.load("image-classification")
    image_task.open = slowly(image_task.open, 0, "prepared")
    session.save_checkpoint = slowly(session.save_checkpoint, 0, "saved")


def slowly(function, rank, done):
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
