"""Whether XLA compiles the forward and backward pass."""

import time
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfdl.errors import UserError
from tfdl.training.trainer import Trainer

# Steps that are timed on either side, after the first, which compiles.
_TIMED = 5


@dataclass(frozen=True)
class Compilation:
    """What was decided, and the reason in words for whoever starts the run (empty where nothing was asked)."""

    xla: bool
    note: str


def decide(wanted: str, trainer: Trainer, batch: Any, num_steps: int) -> Compilation:
    """``on`` and ``off`` are what they say; ``auto`` measures, and takes what ends the run sooner.

    The reduction over ranks stays outside of what XLA compiles, which has no kernel for a collective; so a layer that
    reduces within the forward pass (synchronized batch normalization on several ranks) leaves no choice. What is timed
    is a step with its reduction, since without XLA that travels while the backward pass goes on, and with it after it.
    Every rank decides alike: by the slowest of them.

    Args:
        wanted: ``on``, ``off`` or ``auto``.
        trainer: built, with the state that training begins from; it is left as it was.
        batch: one training batch of this rank.
        num_steps: steps that the run still has.

    Raises:
        UserError: ``on`` for a model that reduces in its forward pass.
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
    return quicker(*_measured(trainer, batch), num_steps)


def quicker(plain: float, compiled: float, compiling: float, num_steps: int) -> Compilation:
    """What ends a run of ``num_steps`` sooner, from seconds of a step without and with XLA, and of compiling."""
    found = f"{1e3 * compiled:.1f} ms a step with it, {1e3 * plain:.1f} ms without"
    if compiled >= plain:
        return Compilation(False, f"XLA off: {found}")
    if num_steps * (plain - compiled) < compiling:
        return Compilation(
            False, f"XLA off: {found}, but {num_steps} steps do not win back {compiling:.0f} s to compile"
        )
    return Compilation(True, f"XLA on: {found}")


def reduces_inside(model: Any) -> bool:
    """Whether a forward pass of this model holds a collective on several ranks."""
    return any(getattr(layer, "synchronized", False) for layer in model._flatten_layers(include_self=False))


def _measured(trainer: Trainer, batch: Any) -> tuple[float, float, float]:
    """Seconds of a step without and with XLA, and of the compilation; the slowest rank's, on all of them."""
    batch = trainer.carried.joined(batch)
    state = [(variable, variable.numpy()) for variable in trainer.model.non_trainable_variables]
    first, plain = _timed(trainer, batch, xla=False)
    first, compiled = _timed(trainer, batch, xla=True)
    for variable, value in state:  # moving statistics and random streams
        variable.assign(value)
    everyone = trainer.world.all_gather_object((plain, compiled, first))
    plain, compiled, first = (max(found) for found in zip(*everyone, strict=True))
    return plain, compiled, first


def _timed(trainer: Trainer, batch: Any, xla: bool) -> tuple[float, float]:
    """Seconds of the first step, without its update, and of the quickest of some more."""

    @tf.function(reduce_retracing=True)
    def run(batch: Any) -> Any:
        return trainer.gradients(batch, xla)

    seconds = []
    for _ in range(1 + _TIMED):
        begin = time.perf_counter()
        _, sums, _ = run(batch)
        sums.numpy()
        seconds.append(time.perf_counter() - begin)
    return seconds[0], min(seconds[1:])
