"""The loop over epochs: steps, validation, checkpoint."""

import math
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from tfdl.data.python_reading import taken
from tfdl.distributed.sync_proof import SyncProof
from tfdl.distributed.watchdog import long_work
from tfdl.distributed.watchdog.current import tick
from tfdl.errors import RunError, StoppedError, mark_agreed
from tfdl.runs import Progress
from tfdl.training.callbacks import Callback, EpochReport, StepReport, ValidationReport
from tfdl.training.checkpoints import Checkpoints
from tfdl.training.divergence import check_finite, check_finite_weights, divergence
from tfdl.training.fit_plan import FitPlan, next_samples, open_batches
from tfdl.training.membership import Membership
from tfdl.training.optimization import check_equal_rates
from tfdl.training.signals import StopRequest
from tfdl.training.trainer import Trainer

# The longest time of a graph call, once the speed of steps is known. A stop request is noticed between graph calls, and
# launchers wait only a few seconds after a request.
_LONGEST_EXECUTION_SECONDS = 2.0


class Fit:
    """Runs a trainer to the end of its plan.

    Every epoch ends with a validation and a checkpoint. A stop request ends the run at the same step on all ranks, with
    a checkpoint. ``progress`` contains everything that a resumed run needs besides the variables. On several ranks, the
    states are compared before each validation and checkpoint.

    Args:
        trainer: makes the steps.
        plan: the data and the length of the run.
        progress: where to begin; kept up to date.
        validate: returns the metrics of the validation split.
        checkpoints: save the current state.
        callback: watches the run.
        membership: what happens when ranks are lost or join.

    Attributes:
        proof: compares the ranks' states.
    """

    def __init__(
        self,
        trainer: Trainer,
        plan: FitPlan,
        progress: Progress,
        validate: Callable[[], dict[str, float]],
        checkpoints: Checkpoints,
        callback: Callback,
        membership: Membership,
    ):
        self._trainer = trainer
        self._plan = plan
        self._progress = progress
        self._validate = validate
        self._checkpoints = checkpoints
        self._callback = callback
        self._membership = membership
        self._world = trainer.world
        self._task = trainer.task
        self._global_batch = plan.batch_size * self._world.size
        self.proof = SyncProof.of_training(
            trainer.model, trainer.update_variables, self._world, plan.sync_check_steps, progress.step
        )
        self._change_requests = 0.0  # the number of ranks that ask the ranks to meet again
        self._stop_requests = 0.0  # the number of ranks that a signal asked to stop
        self._checkpoint_requests = 0.0  # the number of ranks that ask for a checkpoint
        self._ends = False  # whether a callback wants training to end
        self._step_seconds = 0.0  # the ranks' mean; 0 while it is unknown
        self._is_compiled = False  # the first graph call compiles, so its time is not counted
        self._first_call: tuple[float, int] | None = None  # its seconds and samples, in the epoch that compiled

    def run(self) -> None:
        """Trains until the planned epochs or steps are done, or a callback ends training.

        Raises:
            StoppedError: a signal asked a rank to stop; a checkpoint is saved.
            DivergenceError: a loss, gradient or weight is NaN or infinite. The weights are those before that step.
            RunError: the ranks' states are no longer equal.
        """
        batches = iter(open_batches(self._plan, self._trainer, self._progress))  # one iterator for the whole run
        # A resumed run may have reached its early end already.
        self._ends = any(self._world.all_gather_object(bool(self._callback.wants_stop)))
        with StopRequest(self._plan.deadline) as stop:
            while not self._is_done():
                self._run_epoch(batches, stop)
        # The last epoch was compared before its callbacks were called.
        self.proof.compare(self._progress.step, again=True)

    def _is_done(self) -> bool:
        return self._ends or self._plan.length.is_done(self._progress)

    def _run_epoch(self, batches: Any, stop: StopRequest) -> None:
        progress = self._progress
        begin = time.perf_counter()
        examples_before = progress.timed_examples
        seconds_before = progress.train_seconds
        self._callback.on_epoch_begin(progress)
        self._run_steps_of_epoch(batches, stop)
        metrics = self._running_metrics()
        check_finite("loss", metrics, self._progress.step)
        if not progress.sample:  # the epoch is complete: the next one's metrics start at zero
            progress.running = []
        self.proof.before_results(progress.step)
        speed = _rate(progress.timed_examples - examples_before, progress.train_seconds - seconds_before)
        validation_begin = time.perf_counter()
        # It has been measured at this step already if it made training end.
        validation = progress.validation or self._measure_validation()
        compilation_seconds = self._compilation_seconds(time.perf_counter() - validation_begin, speed)
        seconds = time.perf_counter() - begin - compilation_seconds
        self._first_call = None
        report = EpochReport(progress, metrics, validation, seconds, speed, self._trainer.loss_scale.report())
        self._callback.before_checkpoint(report)
        self._save()
        self._callback.on_epoch(report)
        self._agree_on_end(stop)
        if self._is_done():
            self._membership.after_epoch(0.0)  # there is nothing left to do for other ranks
            return
        if self._stop_requests:
            self._stop(stop, is_saved=True)
        if self._change_requests:
            self._checkpoints.finish()
        self._membership.after_epoch(self._change_requests)

    def _run_steps_of_epoch(self, batches: Any, stop: StopRequest) -> None:
        """Makes steps until the epoch or the run ends."""
        progress = self._progress
        while not self._is_done():
            if self._is_validation_due():
                self._validate_within_epoch(stop)
                if self._is_done():
                    return
            self._callback.on_steps_begin(progress)
            self._run_steps(batches, self._next_steps(), stop)
            if progress.sample >= self._plan.source.num_examples:
                progress.epoch += 1
                progress.sample = 0
                progress.epoch_batch = 0
                return
            if self._is_done():
                return
            if self._stop_requests:
                self._stop(stop)
            if self._checkpoint_requests or self._checkpoints.is_due(progress.step):
                self.proof.before_results(progress.step)
                self._save()
            if self._change_requests:
                self._checkpoints.finish()
            self._membership.after_steps(self._change_requests)

    def _next_steps(self) -> int:
        """The number of steps of the next graph call."""
        progress = self._progress
        steps = min(
            self._plan.length.remaining_in_epoch(progress),
            self.proof.steps_until_due(progress.step),
            self._checkpoints.steps_until_due(progress.step),
            self._steps_until_validation(),
            self._plan.steps_per_execution,
        )
        if self._step_seconds:
            steps_in_time = int(_LONGEST_EXECUTION_SECONDS / self._step_seconds)
            steps = min(steps, max(1, steps_in_time))
        return int(min(steps, self._membership.longest_execution))

    def _run_steps(self, batches: Any, num_steps: int, stop: StopRequest) -> None:
        """Makes some steps in one graph call, then exchanges metrics and requests in one collective."""
        progress = self._progress
        begin = time.perf_counter()
        num_done = self._make_steps(batches, num_steps)
        seconds = time.perf_counter() - begin
        is_asked_to_stop = float(bool(stop.name))
        wants_change = float(self._membership.wants_change())
        wants_stop = float(self._callback.wants_stop)
        wants_checkpoint = float(self._checkpoints.is_wanted)
        has_written = float(self._checkpoints.awaits_others)
        requests = (is_asked_to_stop, wants_change, wants_checkpoint)
        totals = self._trainer.take_sums(*requests, wants_stop, has_written, seconds)
        *sums, self._stop_requests, self._change_requests, self._checkpoint_requests = totals[:-3].tolist()
        callback_stops, written_shards, seconds_of_ranks = totals[-3:].tolist()
        self._ends = callback_stops > 0
        examples = self._count_steps(num_done, sums, seconds)
        if num_done < num_steps:
            self._diverge()
        if not self._is_compiled:
            self._first_call = (seconds, examples)
        else:
            # The mean over the ranks: all of them must choose the same number of steps for the next graph call.
            self._step_seconds = seconds_of_ranks / self._world.size / num_steps
        self._is_compiled = True
        self.proof.after_steps(progress.step)
        self._trainer.loss_scale.check(progress.step)
        # In float16 the weight is 0 while every step so far was skipped because its loss was NaN or infinite.
        weight = progress.running[-1]
        if weight:
            self._report_steps(examples, seconds)
        if written_shards == self._world.size:
            self._checkpoints.finish()

    def _make_steps(self, batches: Any, num_steps: int) -> int:
        """See ``Trainer.run``."""
        try:
            return self._trainer.run(batches, num_steps)
        except tf.errors.ResourceExhaustedError as error:
            pieces = self._trainer.accumulation_steps
            size = self._plan.batch_size // pieces
            if size == 1:
                advice = "a smaller model or image, or --precision mixed_bfloat16"
            else:
                advice = f"--batch-size {size // 2} --accumulation-steps {2 * pieces}, which makes the same steps"
            raise RunError(f"out of memory in a step with batch_size={size}; train again with {advice}") from error

    def _diverge(self) -> NoReturn:
        """Raises an error that says why the next step cannot be made."""
        progress = self._progress
        plan = self._plan
        self.proof.compare(progress.step, again=True)
        check_finite_weights(self._trainer, progress.step)
        with long_work("finding out why training diverged"):
            batch = next(taken(open_batches(plan, self._trainer, progress)))
            samples = next_samples(plan, self._world, progress)
            raise divergence(self._trainer, batch, samples, progress.step + 1, plan.source.unit)

    def _count_steps(self, num_steps: int, sums: list[float], seconds: float) -> int:
        """Adds steps to the progress, and returns the number of their samples over all ranks."""
        progress = self._progress
        if not num_steps:
            return 0
        progress.epoch_batch = progress.epoch_batch or self._global_batch
        sample = min(progress.sample + num_steps * self._global_batch, self._plan.source.num_examples)
        examples = sample - progress.sample
        progress.sample = sample
        progress.step += num_steps
        progress.examples += examples
        tick(progress.step)
        running = progress.running or [0.0] * len(sums)
        progress.running = [total + more for total, more in zip(running, sums, strict=True)]
        progress.validation = {}  # it was measured with the weights before these steps
        if self._is_compiled:
            progress.train_seconds += seconds
            progress.timed_examples += examples
        return examples

    def _report_steps(self, examples: int, seconds: float) -> None:
        metrics = self._running_metrics()
        check_finite("loss", metrics, self._progress.step)
        speed = _rate(examples, seconds)
        learning_rate = float(np.asarray(self._trainer.optimizer.learning_rate))
        norms = self._trainer.norms()
        self._callback.on_steps(StepReport(self._progress, metrics, learning_rate, speed, norms))

    def _running_metrics(self) -> dict[str, float]:
        *sums, weight = self._progress.running
        if not weight:
            weight = math.nan
        means = {name: value / weight for name, value in zip(self._task.running_metrics, sums, strict=True)}
        return self._task.running_values(means)

    def _measure_validation(self) -> dict[str, float]:
        check_finite_weights(self._trainer, self._progress.step)
        self._callback.on_validation_begin()
        validation = self._validate()
        check_finite("validation loss", validation, self._progress.step, is_saveable=True)
        self._progress.validation = validation
        value = self._plan.monitor.value(validation)
        if self._plan.monitor.is_better(value, self._progress.best_value):
            self._progress.best_value = value
            self._progress.best_step = self._progress.step
        self._callback.on_validation_end(validation)
        return validation

    def _steps_until_validation(self) -> float:
        steps = self._plan.validation_steps
        return math.inf if steps is None else steps - self._progress.step % steps

    def _is_validation_due(self) -> bool:
        """Whether a validation is due before the next step. If a run was stopped there, it is due when it resumes."""
        steps = self._plan.validation_steps
        progress = self._progress
        return steps is not None and bool(progress.sample) and progress.step % steps == 0 and not progress.validation

    def _validate_within_epoch(self, stop: StopRequest) -> None:
        """Measures the validation split between two steps, and saves a checkpoint with its result."""
        self.proof.before_results(self._progress.step)
        begin = time.perf_counter()
        validation = self._measure_validation()
        self._save()
        self._callback.on_validation(ValidationReport(self._progress, validation, time.perf_counter() - begin))
        self._agree_on_end(stop)

    def _compilation_seconds(self, validation_seconds: float, speed: float) -> float:
        """About how long the compilation of training and validation took in this epoch.

        A validation sample takes less time than a training sample, so the rest of the first validation is compilation.

        Args:
            validation_seconds: the duration of the validation.
            speed: training samples a second, without the first graph call; 0 if it was the only one.
        """
        if self._first_call is None or not speed:
            return 0.0
        first_seconds, first_examples = self._first_call
        in_training = first_seconds - first_examples / speed
        in_validation = validation_seconds - self._plan.validation_samples / speed
        return max(0.0, in_training) + max(0.0, in_validation)

    def _save(self) -> None:
        """Begins to write a checkpoint. The ranks' states have been compared."""
        check_finite_weights(self._trainer, self._progress.step)
        check_equal_rates(self._trainer.optimizer, self._world)
        self._checkpoints.save()

    def _agree_on_end(self, stop: StopRequest) -> None:
        """After an epoch every rank learns whether a signal or a callback ends the run."""
        requests = self._world.all_gather_object((bool(stop.name), bool(self._callback.wants_stop)))
        self._stop_requests = float(sum(is_asked_to_stop for is_asked_to_stop, _ in requests))
        self._ends = self._ends or any(wants_stop for _, wants_stop in requests)

    def _stop(self, stop: StopRequest, is_saved: bool = False) -> None:
        """Ends the run on all ranks, with a checkpoint."""
        if not is_saved:
            self.proof.before_results(self._progress.step)
            self._save()
        is_saved = self._world.broadcast_object(self._checkpoints.finish())
        names = [name for name in self._world.all_gather_object(stop.name) if name]
        name = names[0] if names else "a signal"
        if not is_saved:
            error = RunError(f"stopped by {name} at step {self._progress.step}, whose checkpoint could not be written")
            mark_agreed(error)
            raise error
        raise StoppedError(f"stopped by {name} at step {self._progress.step} with a checkpoint saved")


def _rate(examples: int, seconds: float) -> float:
    return examples / seconds if seconds > 0 else 0.0
