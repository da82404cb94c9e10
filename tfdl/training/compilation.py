"""Decides whether XLA compiles the forward and backward pass."""

import time
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError
from tfdl.training.trainer import Trainer

# Steps that are timed without and with XLA, after the first step of each, which builds the graph and compiles.
_TIMED_STEPS = 5


@dataclass(frozen=True)
class Compilation:
    """A decision about XLA."""

    xla: bool
    note: str
    """The reason, to be printed when the run starts; empty for ``off``."""


def decide(wanted: str, trainer: Trainer, batch: Any, num_steps: int) -> Compilation:
    """Decides whether XLA compiles the forward and backward pass.

    ``auto`` times both kinds of step and takes the one that ends the run sooner. All ranks decide alike, by the times
    of the slowest rank. The timed step includes its reduction over the ranks: without XLA, gradients are sent while the
    backward pass still computes; with XLA, they are sent after it.

    The reduction is never compiled, because XLA has no kernel for a collective. A model that reduces within its forward
    pass (synchronized batch normalization on several ranks) cannot be compiled at all.

    Args:
        wanted: ``on``, ``off`` or ``auto``.
        trainer: built, with the state that training begins with; its state is not changed.
        batch: one training batch of this rank.
        num_steps: the number of steps that the run still has.

    Raises:
        UserError: ``on`` for a model that reduces within its forward pass.
    """
    if wanted == "off":
        return Compilation(False, "")
    if trainer.world.size > 1 and reduces_inside(trainer.model):
        reason = "synchronized batch normalization reduces over the ranks within the forward pass"
        if wanted == "on":
            raise UserError(
                f"xla=on for a model whose {reason}, which XLA cannot compile; use --xla off, or"
                " --set model.synchronized=false"
            )
        return Compilation(False, f"XLA off: {reason}")
    if wanted == "on":
        return Compilation(True, "XLA on")
    plain, compiled, compiling = _measure(trainer, batch)
    return choose_faster(plain, compiled, compiling, num_steps)


def choose_faster(plain: float, compiled: float, compiling: float, num_steps: int) -> Compilation:
    """Chooses what ends a run sooner.

    Args:
        plain: seconds of a step without XLA.
        compiled: seconds of a step with XLA.
        compiling: seconds to compile.
        num_steps: the number of steps of the run.
    """
    times = f"{1e3 * compiled:.1f} ms a step with it, {1e3 * plain:.1f} ms without"
    if compiled >= plain:
        return Compilation(False, f"XLA off: {times}")
    saved = num_steps * (plain - compiled)
    if saved < compiling:
        return Compilation(
            False, f"XLA off: {times}, but compiling takes {compiling:.0f} s, more than {num_steps} steps save"
        )
    return Compilation(True, f"XLA on: {times}")


def reduces_inside(model: Any) -> bool:
    """Whether the model's forward pass contains a collective on several ranks."""
    return any(getattr(layer, "synchronized", False) for layer in model._flatten_layers(include_self=False))


def _measure(trainer: Trainer, batch: Any) -> tuple[float, float, float]:
    """Seconds of a step without XLA and with it, and of compiling: on all ranks those of the slowest rank."""
    batch = trainer.carried.joined(batch)
    # Timed steps change moving statistics and random streams.
    saved_values = [(variable, variable.numpy()) for variable in trainer.model.non_trainable_variables]
    _, plain = _time_steps(trainer, batch, xla=False)
    compiling, compiled = _time_steps(trainer, batch, xla=True)
    for variable, value in saved_values:
        variable.assign(value)
    times_of_ranks = trainer.world.all_gather_object((plain, compiled, compiling))
    slowest_plain, slowest_compiled, slowest_compiling = (max(times) for times in zip(*times_of_ranks, strict=True))
    return slowest_plain, slowest_compiled, slowest_compiling


def _time_steps(trainer: Trainer, batch: Any, xla: bool) -> tuple[float, float]:
    """Seconds of the first step, and of the fastest one of the next steps; the weights are not updated."""

    @tf.function(autograph=False, reduce_retracing=True)
    def run(batch: Any) -> Any:
        return trainer.gradients(batch, xla)

    seconds = []
    for _ in range(1 + _TIMED_STEPS):
        begin = time.perf_counter()
        _, sums, _ = run(batch)
        sums.numpy()  # waits until the step is done
        seconds.append(time.perf_counter() - begin)
    first, *others = seconds
    return first, min(others)
