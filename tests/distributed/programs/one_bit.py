"""Trains small models on two ranks, and changes one bit of rank 1's state during the training.

``one_bit.py OUTPUT CASE...`` runs several trainings, one after the other, and prints the outcome of each, as JSON. A
case is ``WHAT`` or ``WHAT/EVERY``: what is changed, and the number of steps between two comparisons. At last it runs
``tfdl train`` with a change of a weight, into OUTPUT/command, which ends the job.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

import tfdl
from tfdl import distributed
from tfdl.cli.main import main as command
from tfdl.config import compose
from tfdl.distributed.fingerprints import Fingerprints
from tfdl.distributed.sync_proof import SyncProof
from tfdl.training import Trainer

STEP = 17  # an epoch has 12 steps, so this is after the first checkpoint
SMALL = {
    "model.filters": [4], "model.units": 8, "model.dropout": 0.25, "dataset.image_size": [8, 8], "batch_size": 64,
    "steps_per_execution": 5, "epochs": 2, "optimizer.ema_momentum": 0.9,
}  # fmt: skip
# The variable that a fault changes.
CHANGED: dict[str, Callable[[Trainer], Any]] = {
    "weight": lambda trainer: named(trainer.model.weights, "kernel"),
    "moving_variance": lambda trainer: named(trainer.model.weights, "moving_variance"),
    "slot": lambda trainer: named(trainer.optimizer.variables, "velocity"),
}


def named(variables: list[Any], word: str) -> Any:
    """The first of the variables with this word in its path."""
    return next(variable for variable in variables if word in variable.path)


def statistics_of(trainer: Trainer) -> list[float]:
    return np.asarray(named(trainer.model.weights, "moving_variance")).tolist()


def flip_one_bit(variable: Any) -> None:
    value = np.array(variable, order="C")
    value.reshape(-1).view(np.uint8)[0] ^= 1
    variable.assign(value)


@contextmanager
def fault(what: str) -> Iterator[list[Trainer]]:
    """Changes a variable of rank 1 after step ``STEP``. Yields a list that gets the trainer of the run."""
    trainers: list[Trainer] = []
    run = Trainer.run

    def run_and_flip(self: Trainer, batches: Any, num_steps: int) -> int:
        before = int(self.optimizer.iterations)
        num_done = run(self, batches, num_steps)
        trainers[:] = [self]
        vars(self)["statistics"] = statistics_of(self)
        is_due = before < STEP <= int(self.optimizer.iterations)
        if is_due and self.world.rank == 1 and what in CHANGED:
            flip_one_bit(CHANGED[what](self))
        return num_done

    with patch.object(Trainer, "run", run_and_flip):
        yield trainers


@contextmanager
def another_start() -> Iterator[None]:
    """On rank 1 every variable differs before the state is broadcast, also those that ``variables`` may leave out."""
    init = Trainer.__init__

    def init_and_flip(self: Trainer, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        if self.world.rank == 1:
            for variable in [*self.model.variables, *self.optimizer.variables, *self.loss_scale.variables]:
                if hasattr(variable, "assign"):
                    flip_one_bit(variable)

    with patch.object(Trainer, "__init__", init_and_flip):
        yield


def outcome(output: str, case: str) -> dict[str, Any]:
    """One training's error and, where it has none, whether the ranks ended equal."""
    what, _, every = case.partition("/")
    changes: dict[str, Any] = {"sync_check_steps": int(every or 200)}
    if what in ("start", "start-alone"):
        changes |= {"epochs": None, "steps": 1, "precision": "mixed_float16", "optimizer.schedule": "cosine"}
    if what == "local":
        changes |= {"model.synchronized": False}
    config = compose(SMALL, changes)
    with patches(what), fault(what) as trainers:
        try:
            tfdl.train(config, f"{output}/{case.replace('/', '-')}")
        except tfdl.RunError as error:
            return {"error": str(error)}
    (trainer,) = trainers
    fingerprints = Fingerprints([*trainer.model.variables, *trainer.update_variables])
    difference = fingerprints.difference(trainer.world)
    return {
        "error": "",
        "differing": list(difference.variables) if difference else [],
        "after the last step": vars(trainer)["statistics"],
        "at the end": statistics_of(trainer),
    }


@contextmanager
def patches(what: str) -> Iterator[None]:
    """The changes of tfdl that a case needs."""
    if what == "start":
        with another_start():
            yield
    elif what == "start-alone":  # a control without the broadcast
        with another_start(), patch("tfdl.training.training_state.broadcast_state"):
            yield
    elif what == "unwatched":  # a control without comparisons
        CHANGED["unwatched"] = CHANGED["weight"]
        with patch.object(SyncProof, "compare"):
            yield
    else:
        yield


def main() -> None:
    output, *cases = sys.argv[1:]
    world = distributed.init()
    outcomes = {case: outcome(output, case) for case in cases}
    outcomes_by_rank = world.all_gather_object(outcomes)
    if world.is_chief:
        print(json.dumps(outcomes_by_rank), flush=True)
    options = []
    for key, value in SMALL.items():
        options += ["--set", f"{key}={value}"]
    with fault("weight"):
        command(["train", "--output", f"{output}/command", *options])


main()
