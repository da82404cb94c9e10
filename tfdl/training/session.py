"""One run on one rank: built from its parts, trained, evaluated, recorded."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data.python_reading import taken
from tfdl.data.sources import sample_counts
from tfdl.distributed import World
from tfdl.distributed.layer_constants import check_equal_constants, constants_of
from tfdl.distributed.sync_proof import SyncProof
from tfdl.distributed.watchdog import long_work
from tfdl.errors import RunError, mark_agreed
from tfdl.evaluation import evaluator_for
from tfdl.runs import RunDirectory, weights_sha256
from tfdl.runs.load import may_rename_variables
from tfdl.runs.model_size import check_resumed_size
from tfdl.runs.sample_counts import changed_counts_note
from tfdl.training.auto_batch_size import check_possible, chosen_batch_size
from tfdl.training.averaged_weights import averaged_weights
from tfdl.training.best_weights import restore_best_weights
from tfdl.training.callback_states import CallbackStates
from tfdl.training.callbacks import Callback, Callbacks, RunPlan
from tfdl.training.checkpoints import Checkpoints
from tfdl.training.code_versions import changed_versions_note, code_versions
from tfdl.training.compilation import decide
from tfdl.training.divergence import DivergenceError, check_finite
from tfdl.training.early_stopping import EarlyStopping
from tfdl.training.fit import Fit
from tfdl.training.fit_plan import FitPlan, open_batches
from tfdl.training.initial_weights import InitialWeights, initial_weights
from tfdl.training.keras_callbacks import check_lowered_rates, let_notify
from tfdl.training.membership import Membership
from tfdl.training.monitor import Monitor
from tfdl.training.opening import Opened, open_data, samples_in_words, weigh_classes
from tfdl.training.optimization import follow_plan, rate_note, schedule_note
from tfdl.training.output import Output
from tfdl.training.plateau import Plateau
from tfdl.training.python_parts import PythonParts
from tfdl.training.recovery import Recovery
from tfdl.training.run_logs import RunLogs
from tfdl.training.run_parts import RunParts, build_parts
from tfdl.training.run_record import RunRecord
from tfdl.training.starting_point import NewOrCheckpoint, StartingPoint
from tfdl.training.summary import summarize
from tfdl.training.training_state import TrainingState


class Session:
    """``prepare`` builds and restores; ``run`` trains, evaluates and writes the results.

    Args:
        output: the run directory and the configuration.
        world: the ranks.
        begin: when the run began, in seconds since the epoch.
        callbacks: watch the run, besides its own logs.
        python_parts: the objects that Python code passed.
        starting_point: where the state comes from; by default a new run, or the run directory's checkpoint.
        membership: what happens when ranks are lost or join; by default a lost rank ends the run.
        opened: the task and its data, on a rank that has opened them already.
    """

    parts: RunParts
    """Task, data, model and trainer; made by ``prepare``."""

    def __init__(
        self,
        output: Output,
        world: World,
        begin: float,
        *,
        callbacks: Sequence[Callback] = (),
        python_parts: PythonParts | None = None,
        starting_point: StartingPoint | None = None,
        membership: Membership | None = None,
        opened: Opened | None = None,
    ):
        self.config: TrainConfig = output.config
        self.record = RunRecord(output)
        self.opened = opened
        self._state: TrainingState | None = None
        self._world = world
        self._begin = begin
        self._callbacks = list(callbacks)
        self._python_parts = python_parts or PythonParts()
        self._starting_point = starting_point or NewOrCheckpoint()
        self._membership = membership or Membership()
        self._batch_size_note = ""

    @property
    def run_directory(self) -> RunDirectory:
        """Where the run is written."""
        return self.record.run

    @property
    def state(self) -> TrainingState:
        """The state of the training; made by ``prepare``."""
        assert self._state is not None
        return self._state

    @property
    def step(self) -> int:
        """Optimizer steps done; 0 before the state is restored."""
        return 0 if self._state is None else self._state.progress.step

    def prepare(self) -> None:
        """Does everything before the first step. If a rank fails here, its error ends all ranks."""
        world = self._world
        if self.config.deterministic:
            tf.config.experimental.enable_op_determinism()
        with long_work("preparing the data", math.inf):
            # A resumed run has what its task learned from the data, such as a vocabulary.
            assets = self.run_directory.assets if self.record.checkpoint else None
            self.opened = open_data(self.config, world, self._python_parts, assets, self.opened)
        self._class_weights_note = weigh_classes(self.config.class_weight, *self.opened, world)
        with world.agreement(), long_work("building the model"):
            weights = initial_weights(self.config, assets)
            if self.record.checkpoint:
                check_resumed_size(self.config.model, self.opened[0].model_arguments, self.record.run.checkpoints)
            self.parts = build_parts(self.config, *self.opened, self._python_parts, world, weights)
        if self.config.auto_batch_size:
            self._choose_batch_size(weights)
        with world.agreement():
            check_lowered_rates(self._callbacks, self.config)
            let_notify(self._callbacks, self._notify)
            Callbacks(self._callbacks).on_built(self.parts)
        # Variables are broadcast below; what else layers keep, such as adapted statistics, must be equal already.
        layers = self.parts.model._flatten_layers()
        check_equal_constants(world.all_gather_object(constants_of(layers)))
        self._monitor = Monitor.of(self.config, self.parts.task)
        self._early_stopping = EarlyStopping.of(self.config, self._monitor)
        if self._early_stopping is not None:
            self._callbacks.append(self._early_stopping)
        plateau = Plateau.of(self.config, self._monitor, self._multiply_rate, self._notify)
        if plateau is not None:
            self._callbacks.append(plateau)
        self._state = TrainingState(
            self.parts.trainer, CallbackStates(self._callbacks), self._begin, may_rename_variables(self.config)
        )
        self._compilation_note = self._decide_compilation()
        self._starting_point.restore(self.config, self.parts, self.state, self.record, self._python_parts, world)
        self._versions_note = changed_versions_note(self.state.progress.versions)
        self.state.progress.versions = code_versions()
        self._follow_plan()

    def run(self) -> None:
        """Trains to the planned end, evaluates the final weights and writes ``summary.json``."""
        self._evaluator = evaluator_for(self.parts.model, self.parts.task)
        watchers = Callbacks(self._callbacks)
        with self._world.agreement():
            watchers = self._watchers = self._with_logs()
        checkpoints = Checkpoints(self.state, self.run_directory, self.config, self._world, watchers.on_notice)
        try:
            watchers.on_start(self._plan())
            self.state.restore_callbacks()
            proof = self._fit(watchers, checkpoints)
            self._end_training(watchers, checkpoints, proof)
            summary = self._finish(watchers, checkpoints)
            watchers.on_end(summary)
        except KeyboardInterrupt:
            watchers.close()
            raise  # at once: the disk may be what hangs
        except BaseException:
            checkpoints.close()
            watchers.close()
            raise
        watchers.close()

    def _fit(self, watchers: Callback, checkpoints: Checkpoints) -> SyncProof:
        """Trains, and returns the comparison of the ranks."""
        recovery = Recovery(
            self.config, self.state, self.record, self._world, checkpoints, watchers, self._after_return
        )
        recovery.begin()
        while True:
            fit = self._new_fit(watchers, checkpoints)
            try:
                fit.run()
            except DivergenceError as error:
                recovery.recover(error, fit.proof)
            else:
                return fit.proof

    def _new_fit(self, watchers: Callback, checkpoints: Checkpoints) -> Fit:
        return Fit(
            self.parts.trainer,
            self._fit_plan(),
            self.state.progress,
            self._validate,
            checkpoints,
            watchers,
            self._membership,
        )

    def _multiply_rate(self, factor: float) -> None:
        """Lowers the learning rate of the rest of the run."""
        self.state.progress.rate_factor *= factor
        self._follow_plan()

    def _after_return(self) -> None:
        """Follows the state of a checkpoint that training has gone back to."""
        self.state.progress.versions = code_versions()
        self._follow_plan()
        self._membership.after_epoch(0.0)  # commits this state

    def _follow_plan(self) -> None:
        """Adapts the restored learning rate."""
        config = self.config
        progress = self.state.progress
        # A schedule that is planned in steps counts them, whatever an epoch has.
        ahead = 0 if config.optimizer.schedule_steps else self.parts.length.ahead(progress)
        may_change = config.on_divergence == "rollback" or config.plateau_patience is not None
        optimizer = self.parts.trainer.optimizer
        follow_plan(optimizer, config.optimizer, progress, self._world.size, ahead, may_change=may_change)

    def _end_training(self, watchers: Callback, checkpoints: Checkpoints, proof: SyncProof) -> None:
        """Ends training, and writes the last checkpoint again if a callback changed the final weights.

        ``EarlyStopping`` changes them when it restores the best weights.

        Raises:
            RunError: a callback changed them in different ways on the ranks. It is raised on every rank.
        """
        before = weights_sha256(self.parts.model)
        watchers.on_training_end()
        has_changed = weights_sha256(self.parts.model) != before
        # Saving is collective, so all ranks save if one of them has other weights.
        if any(self._world.all_gather_object(has_changed)):
            self._check_equal_ranks(proof)
            self.state.progress.validation = {}
            checkpoints.save()
        if self._early_stopping is not None:
            self._notify(self._early_stopping.reason)
            self._restore_best_weights(checkpoints)

    def _restore_best_weights(self, checkpoints: Checkpoints) -> None:
        checkpoints.finish()
        parts = self.parts
        note = restore_best_weights(
            parts.model,
            parts.trainer.optimizer,
            self.run_directory,
            self.state.progress,
            self._world,
            by_order=may_rename_variables(self.config),
        )
        self._notify(note)

    def _notify(self, text: str) -> None:
        if text and self._world.is_chief:
            self._watchers.on_notice(text)

    def _check_equal_ranks(self, proof: SyncProof) -> None:
        """Raises ``RunError`` if the ranks' states differ after the callbacks have ended training."""
        difference = proof.difference()
        if difference is None:
            return
        error = RunError(
            f"when training ended, a callback changed the weights of some ranks only: {difference}; a callback that"
            " changes weights, such as EarlyStopping(restore_best_weights=True), must run on every rank and do the same"
            " there; the last checkpoint has the weights before the change"
        )
        mark_agreed(error)
        raise error

    def _choose_batch_size(self, weights: InitialWeights) -> None:
        """Finds the largest batch size for the GPUs' memory, records it, and builds the parts for it.

        A resumed run has the batch size that was recorded.
        """
        size = self.config.batch_size
        if self.record.checkpoint is None:
            with self._world.agreement():
                check_possible(self.parts.trainer)
            with long_work("looking for the batch size", math.inf):
                size = chosen_batch_size(self.parts.trainer, self.parts.sources["train"], self.config)
            self._batch_size_note = f"batch size {size}, the largest that the GPUs' memory holds"
        self.config = self.config.replace(batch_size=size, auto_batch_size=False)
        del self.parts
        keras.utils.clear_session()  # the names of the new model's layers are those of a run with this batch size
        assert self.opened is not None
        with self._world.agreement(), long_work("building the model"):
            self.parts = build_parts(self.config, *self.opened, self._python_parts, self._world, weights)

    def _decide_compilation(self) -> str:
        """Decides whether XLA compiles, and records it in the configuration.

        A repeated or resumed run then computes the same bits.

        Returns:
            The reason, to be printed.
        """
        if self.config.xla == "off":
            return ""
        trainer = self.parts.trainer
        batches = open_batches(self._fit_plan(), trainer, self.state.progress)
        batch = next(taken(batches))
        with long_work("timing XLA"):
            decision = decide(self.config.xla, trainer, batch, self.parts.length.total_steps)
        trainer.xla = decision.xla
        self.config = self.config.replace(xla="on" if decision.xla else "off")
        return decision.note

    def _with_logs(self) -> Callbacks:
        """The callbacks, on rank 0 after the run's own logs."""
        if not self._world.is_chief:
            return Callbacks(self._callbacks)
        logs = RunLogs.of(self.run_directory, self.config, self.parts, self.step, self._notify)
        return Callbacks([logs, *self._callbacks])

    def _plan(self) -> RunPlan:
        config = self.config
        world = self._world
        parts = self.parts
        notes = (
            "" if self.step else self.record.beginning_note,
            self.record.weights_note,
            self.record.checkpoint_note,
            self.record.lock_note,
            self._versions_note,
            self._batch_size_note,
            parts.trained_note,
            self._class_weights_note,
            *parts.task.notes,
            changed_counts_note(self.run_directory.assets, sample_counts(parts.sources)),
            rate_note(config.optimizer, world.size),
            schedule_note(config.optimizer, parts.length, self.record.config_before if self.step else None),
            self._compilation_note,
            self.state.note,
            self.state.callbacks_note,
        )
        return RunPlan(
            model=config.model.label,
            dataset=config.dataset.name,
            task=config.task,
            parameters=parts.model.count_params(),
            world_size=world.size,
            batch_size=config.batch_size,
            accumulation_steps=config.accumulation_steps,
            global_batch_size=parts.length.global_batch,
            steps_per_epoch=parts.length.steps_per_epoch,
            total_steps=parts.length.total_steps - parts.length.ahead(self.state.progress),
            total_epochs=parts.length.total_epochs,
            directory=self.run_directory.path,
            resumed_from=self.step,
            samples=samples_in_words(parts.sources),
            class_names=parts.task.class_names,
            notes=tuple(note for note in notes if note),
            monitor=self._monitor.metric,
            headline=parts.task.headline,
            membership=self._membership.note,
            plugins=config.plugins,
        )

    def _fit_plan(self) -> FitPlan:
        return FitPlan(
            source=self.parts.sources["train"],
            batch_size=self.parts.rank_batch,
            seed=self.config.seed,
            steps_per_execution=self.config.steps_per_execution,
            length=self.parts.length,
            monitor=self._monitor,
            validation_steps=self.config.validation_steps,
            deadline=self._begin + (self.config.time_limit or math.inf),
            validation_samples=self.parts.sources["validation"].num_examples,
            sync_check_steps=self.config.sync_check_steps,
        )

    def _validate(self) -> dict[str, float]:
        parts = self.parts
        with averaged_weights(parts.trainer.optimizer):
            rows = self._evaluator.rows(parts.sources["validation"], self._world, quickly=True)
            self._watchers.on_validation_rows(self.state.progress, rows)
        return parts.task.metrics(rows)

    def _finish(self, watchers: Callback, checkpoints: Checkpoints) -> dict[str, Any]:
        progress = self.state.progress
        validation = progress.validation
        with averaged_weights(self.parts.trainer.optimizer):
            if not validation or self._evaluator.quick_results_differ:
                validation = self._evaluator.metrics(self.parts.sources["validation"], self._world)
            test_rows = self._evaluator.rows(self.parts.sources["test"], self._world)
            digest = weights_sha256(self.parts.model)
        test = self.parts.task.metrics(test_rows)
        check_finite("test loss", test, self.step)
        warning = self.parts.task.warning(test_rows)
        if warning:
            watchers.on_warning(f"test: {warning}")
        checkpoints.finish()
        self.state.count_wall_time()
        summary = summarize(self._plan(), progress, validation, test, digest)
        with self._world.agreement():
            if self._world.is_chief:
                self.record.finish(summary)
        return summary
