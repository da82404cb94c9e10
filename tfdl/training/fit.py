"""The loop over epochs: steps, validation, checkpoint."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfdl.data import Position, Source, training_batches
from tfdl.data.order import steps_left
from tfdl.distributed.sync_proof import SyncProof
from tfdl.distributed.watchdog.current import tick
from tfdl.errors import RunError, StoppedError
from tfdl.runs import Progress
from tfdl.training.callbacks import Callback, EpochReport, StepReport
from tfdl.training.signals import StopRequest
from tfdl.training.trainer import Trainer

# Below it float16 gradients vanish anyway.
_SMALLEST_SCALE = 2.0**-14

# Seconds that steps may run without coming back to Python, once their speed is known.
_LONGEST_EXECUTION = 2.0


@dataclass(frozen=True)
class FitPlan:
    """How long to train, and in which portions."""

    source: Source
    batch_size: int
    seed: int
    steps_per_execution: int
    epochs: int | None
    steps: int | None
    sync_check_steps: int = 200


class Keeper:
    """What a run of changing ranks does between steps, on all ranks at the same ones; others do nothing there."""

    def wish(self) -> bool:
        """Whether this rank wants the ranks to meet anew."""
        return False

    def after_steps(self, wishes: float) -> None:
        """Steps are done, within an epoch; so many ranks had a wish."""

    def after_epoch(self, wishes: float) -> None:
        """An epoch is done, validated and saved."""


class Fit:
    """Runs a trainer to the end of its plan.

    Every epoch ends with a validation and a checkpoint; a stop request ends the run at the same step on all ranks, with
    a checkpoint. All that a resumed run needs is in ``progress``. On several ranks, what is measured and saved is
    proven to be of one model.

    Args:
        trainer: the step.
        plan: how long.
        progress: where to begin; kept up to date.
        validate: the metrics of the validation split.
        save: writes a checkpoint of the current state; called on every rank.
        callback: who watches.
        keeper: who sees to it that the run survives a lost rank, if anyone does.
    """

    def __init__(
        self,
        trainer: Trainer,
        plan: FitPlan,
        progress: Progress,
        validate: Callable[[], dict[str, float]],
        save: Callable[[], None],
        callback: Callback,
        keeper: Keeper | None = None,
    ):
        self._trainer, self._plan, self._progress = trainer, plan, progress
        self._validate, self._save, self._callback = validate, save, callback
        self._world, self._task = trainer.world, trainer.task
        self._keeper, self._wishes = keeper or Keeper(), 0.0
        self._global_batch = plan.batch_size * self._world.size
        self._proof = SyncProof(
            trainer.model, trainer.update_variables, self._world, plan.sync_check_steps, progress.step
        )
        self._step_seconds = 0.0
        self._warm = False  # the first execution compiles, and counts for no speed

    def run(self) -> None:
        """Trains until the planned epochs or steps are done.

        Raises:
            StoppedError: a signal came; the checkpoint is saved.
            RunError: the loss is no longer a number, or the ranks' states are no longer equal.
        """
        iterator = iter(open_batches(self._plan, self._trainer, self._progress))  # one for the whole run
        with StopRequest() as stop:
            while not self._is_done():
                self._run_epoch(iterator, stop)
        self._proof.at_end(self._progress.step)

    def _is_done(self) -> bool:
        plan, progress = self._plan, self._progress
        return progress.step >= plan.steps if plan.steps is not None else progress.epoch >= (plan.epochs or 0)

    def _run_epoch(self, iterator: Any, stop: StopRequest) -> None:
        progress, begin = self._progress, time.perf_counter()
        examples, seconds = progress.timed_examples, progress.train_seconds
        while not self._is_done():
            stopped = self._run_steps(iterator, self._next_steps(), stop)
            if progress.sample >= self._plan.source.num_examples:
                progress.epoch, progress.sample, progress.block = progress.epoch + 1, 0, 0
                break
            if not self._is_done():
                if stopped:
                    self._stop(stop)
                self._keeper.after_steps(self._wishes)
        metrics = self._running_metrics()
        self._check_finite("loss", metrics)
        progress.running = progress.running if progress.sample else []
        self._proof.before_results(progress.step)
        validation = self._validate()
        self._check_finite("validation loss", validation)
        progress.validation = validation
        self._note_best(validation)
        self._save()
        speed = _rate(progress.timed_examples - examples, progress.train_seconds - seconds)
        seconds, scale = time.perf_counter() - begin, self._loss_scale()
        self._callback.on_epoch(EpochReport(progress, metrics, validation, seconds, speed, scale))
        if self._world.all_gather_object(bool(stop.name)).count(True) and not self._is_done():
            self._stop(stop, saved=True)
        self._keeper.after_epoch(0.0 if self._is_done() else self._wishes)

    def _next_steps(self) -> int:
        left = steps_left(self._plan.source.num_examples, self._global_batch, self._progress.sample)
        if self._plan.steps is not None:
            left = min(left, self._plan.steps - self._progress.step)
        left = min(left, self._proof.steps_until_due(self._progress.step))
        # Between executions a stop is noticed, and launchers wait no longer than a few seconds for it.
        portion = max(1, int(_LONGEST_EXECUTION / self._step_seconds)) if self._step_seconds else left
        return min(left, portion, self._plan.steps_per_execution)

    def _run_steps(self, iterator: Any, num_steps: int, stop: StopRequest) -> bool:
        """Some steps; whether any rank was asked to stop."""
        progress, begin = self._progress, time.perf_counter()
        progress.block = progress.block or self._global_batch
        self._trainer.run(iterator, num_steps)
        seconds = time.perf_counter() - begin
        mine = (float(bool(stop.name)), float(self._keeper.wish()), seconds)
        *sums, asked, self._wishes, all_seconds = self._trainer.take_sums(*mine).tolist()
        before = progress.sample
        progress.sample = min(before + num_steps * self._global_batch, self._plan.source.num_examples)
        progress.step += num_steps
        tick(progress.step)
        progress.running = [a + b for a, b in zip(progress.running or [0.0] * len(sums), sums, strict=True)]
        done = progress.sample - before
        progress.examples += done
        progress.validation = {}  # of other weights by now
        if self._warm:
            progress.train_seconds += seconds
            progress.timed_examples += done
            self._step_seconds = all_seconds / self._world.size / num_steps  # the same number on every rank
        self._warm = True
        self._proof.after_steps(progress.step)
        self._check_scale()
        if progress.running[-1]:  # in float16, 0 while every step so far was skipped with a loss that is no number
            metrics = self._running_metrics()
            self._check_finite("loss", metrics)
            rate = float(self._trainer.optimizer.learning_rate)
            self._callback.on_steps(StepReport(progress, metrics, rate, _rate(done, seconds)))
        return asked > 0

    def _running_metrics(self) -> dict[str, float]:
        *sums, weight = self._progress.running
        weight = weight or math.nan
        means = {name: value / weight for name, value in zip(self._task.running_metrics, sums, strict=True)}
        return self._task.running_values(means)

    def _check_finite(self, name: str, metrics: dict[str, float]) -> None:
        if not abs(metrics["loss"]) < float("inf"):
            raise RunError(
                f"the {name} is {metrics['loss']} at step {self._progress.step}; train again with a lower"
                " --learning-rate, or with clipped gradients (--set optimizer.clip_norm=1)"
            )

    def _loss_scale(self) -> dict[str, float]:
        """How scaling goes in float16; nothing elsewhere."""
        scale = self._trainer.loss_scale
        return {} if scale is None else {"loss_scale": float(scale.scale), "skipped_steps": int(scale.skipped_steps)}

    def _check_scale(self) -> None:
        """A skipped step is no error; a scale so small that its gradients would vanish ends the run."""
        found = self._loss_scale()
        if found and found["loss_scale"] < _SMALLEST_SCALE:
            raise RunError(
                f"the gradients were not finite at any loss scale down to {found['loss_scale']:g}"
                f" ({found['skipped_steps']} of {self._progress.step} steps skipped); train with --precision"
                " mixed_bfloat16 or float32"
            )

    def _note_best(self, validation: dict[str, float]) -> None:
        value, best = validation[self._task.monitor], self._progress.best_value
        if best is None or (value > best if self._task.larger_is_better else value < best):
            self._progress.best_value, self._progress.best_step = value, self._progress.step

    def _stop(self, stop: StopRequest, saved: bool = False) -> None:
        if not saved:
            self._proof.before_results(self._progress.step)
            self._save()
        name = next(filter(None, self._world.all_gather_object(stop.name)), "a signal")
        raise StoppedError(f"stopped by {name} at step {self._progress.step} with a checkpoint saved")


def open_batches(plan: FitPlan, trainer: Trainer, progress: Progress) -> Any:
    """This rank's part of the training batches, from where the run is, without end."""
    return training_batches(
        plan.source,
        batch_size=plan.batch_size,
        seed=plan.seed,
        start=Position(progress.epoch, progress.sample, progress.block),
        shard_index=trainer.world.rank,
        num_shards=trainer.world.size,
        augment=trainer.task.augment,
    )


def _rate(examples: int, seconds: float) -> float:
    return examples / seconds if seconds > 0 else 0.0
