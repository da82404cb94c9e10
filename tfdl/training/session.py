"""From a configuration to a run directory."""

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any

import keras

from tfdl import distributed
from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.order import steps_left
from tfdl.distributed import DynamicLossScale
from tfdl.distributed.state import broadcast_state, fold_rank_into_seeds, seed_generators
from tfdl.distributed.watchdog import long_work
from tfdl.errors import UserError
from tfdl.evaluation import evaluate_source
from tfdl.evaluation.decoding_rows import DecodingRows
from tfdl.evaluation.rows import row_function
from tfdl.models import build_model, compute_precision
from tfdl.runs import Progress, load_carried, load_checkpoint, save_checkpoint, weights_sha256
from tfdl.runs.checkpoint import prune
from tfdl.training.averaged_weights import averaged_weights, swap_averages
from tfdl.training.callbacks import Callback, Callbacks, MetricsLog, RunPlan, TensorBoardLog
from tfdl.training.carried_state import CarriedState
from tfdl.training.compilation import decide
from tfdl.training.fit import Fit, FitPlan, Keeper, open_batches
from tfdl.training.opening import check_batch_size, open_data
from tfdl.training.optimization import follow_plan, optimizer_for, rate_note
from tfdl.training.output import Output
from tfdl.training.summary import summarize
from tfdl.training.trainer import Trainer


class Session:
    """One run on one rank: ``prepare`` builds and restores, ``run`` trains, evaluates and writes the results."""

    def __init__(self, place: Output, world: distributed.World, begin: float):
        self.place, self.config, self.run_directory = place, place.config, place.run
        self._world, self._begin = world, begin
        self._written = False  # whether the run directory is ours to write in
        self._progress = Progress()
        self._carried_rows: Any = None  # of a checkpoint: what a recurrent model goes on from
        self._state_note = ""
        self._opened: tuple[Any, dict[str, Source]] | None = None  # the task and its data, where they are known

    def prepare(self) -> None:
        """Everything before the first step. A rank that fails here takes the others with it, with its own error."""
        config, world = self.config, self._world
        with long_work("preparing the data", math.inf):
            assets = self.run_directory.assets if self.place.checkpoint else None
            self._task, self._sources = self._opened = open_data(config, world, assets, self._opened)
        with world.agreement(), long_work("building the model"):
            check_batch_size(config, self._sources["train"], world.size)
            keras.utils.set_random_seed(config.seed)
            with compute_precision(config.precision):
                self._model = build_model(config.model, **self._task.model_arguments)
            self._trainer = self._build_trainer()
        self._decide_compilation()
        self._restore()
        follow_plan(self._trainer.optimizer, config.optimizer, ranks=world.size, ahead=self._ahead)

    def _restore(self) -> None:
        """One state on all ranks: that of a new run, or of the checkpoint to go on from."""
        world = self._world
        with world.agreement(), long_work("opening the run directory"):
            if world.is_chief:
                self._open_directory()
        found = (self._progress, self.run_directory, self._carried_rows)
        self._progress, self.run_directory, self._carried_rows = world.broadcast_object(found)
        self._written = True
        self._restore_carried(self._carried_rows)
        broadcast_state(self._trainer.variables, world)
        fold_rank_into_seeds(seed_generators(self._model), world.rank)

    def _restore_carried(self, rows: Any) -> None:
        """The state that this rank's rows go on from, of a model that carries one."""
        carried, progress = self._trainer.carried, self._progress
        if carried is not None and not carried.restore(rows, progress.sample, progress.block):
            self._state_note = (
                f"this epoch was begun with {progress.block} windows a step: until it ends, each begins with a state of"
                " zeros"
            )

    def _gathered_carried(self) -> Any:
        """All ranks' rows of it, within an epoch; an epoch begins with none."""
        carried = self._trainer.carried
        return carried.gathered() if carried is not None and self._progress.sample else None

    def _build_trainer(self) -> Trainer:
        config = self.config
        optimizer = optimizer_for(
            config.optimizer,
            self._model,
            total_steps=self._total_steps,
            steps_per_epoch=self._steps_per_epoch,
            ranks=self._world.size,
        )
        # Losses are summed over a batch, not averaged: the first scale is smaller by as much.
        scale = 2.0**15 / 2.0 ** math.ceil(math.log2(config.batch_size))
        return Trainer(
            self._model,
            optimizer,
            self._task,
            self._world,
            accumulation_steps=config.accumulation_steps,
            compression=config.compression,
            loss_scale=DynamicLossScale(scale) if config.precision == "mixed_float16" else None,
            carried=CarriedState(self._model, self._rank_batch, self._world) if self._task.carries_state else None,
        )

    def _decide_compilation(self) -> None:
        """What was measured goes into the configuration, so that a repeated or resumed run computes the same bits."""
        self._compilation_note = ""
        if self.config.xla == "off":
            return
        batch = next(iter(open_batches(self._fit_plan(), self._trainer, self._progress)))
        with long_work("timing XLA"):
            decision = decide(self.config.xla, self._trainer, batch, self._total_steps)
        self._trainer.xla, self._compilation_note = decision.xla, decision.note
        self.config = self.config.replace(xla="on" if decision.xla else "off")

    def run(self, callbacks: Sequence[Callback] = ()) -> None:
        """Trains to the planned end, evaluates the final weights and writes ``summary.json``."""
        self._rows_of = row_function(self._model, self._task)
        watchers = Callbacks(callbacks)
        with self._world.agreement():
            watchers = self._watchers(callbacks)
        try:
            watchers.on_start(self._plan())
            hooks = (self._validate, self._save, watchers, self._keeper)
            Fit(self._trainer, self._fit_plan(), self._progress, *hooks).run()
            summary = self._finish()
            watchers.on_end(summary)
        finally:
            watchers.close()

    @property
    def _keeper(self) -> Keeper | None:
        """Ranks that are lost end the run."""
        return None

    def leave(self, error: BaseException) -> None:
        """Notes in ``status.json`` why the run ended, where there is a run directory to note it in."""
        if not self._written or not self._world.is_chief:
            return
        code = getattr(error, "exit_code", 1)
        with contextlib.suppress(OSError):
            self.run_directory.write_status(code, (str(error).strip().splitlines() or [type(error).__name__])[0])

    def note_verdict(self, code: int, reason: str) -> None:
        """The same for what another rank did, called by the watchdog on the chief, or on its deputy if that is gone."""
        if self._written:
            with contextlib.suppress(OSError):
                self.run_directory.write_status(code, reason)

    def _open_directory(self) -> None:
        """Creates the run directory, or restores the run that is in it."""
        checkpoint = self.place.checkpoint
        if checkpoint is None:
            if self.place.is_named_by_us:
                self.run_directory = self.run_directory.claim()
            self._written = True
            self.run_directory.create(self.config)
            self._task.save(self.run_directory.assets)
        else:
            self._progress = load_checkpoint(checkpoint, self._model, self._trainer.update_variables)
            self._carried_rows = load_carried(checkpoint)
            swap_averages(self._trainer.optimizer)  # a checkpoint's weights are the averages, where there are some
            _check_not_past(self.config, self._progress)
            self._written = True
            self.run_directory.write_config(self.config)
        self.run_directory.write_status(None, "running")

    def _watchers(self, callbacks: Sequence[Callback]) -> Callbacks:
        if not self._world.is_chief:
            return Callbacks(callbacks)
        run = self.run_directory
        return Callbacks(
            [MetricsLog(run.metrics_path, self._progress.step), TensorBoardLog(run.tensorboard), *callbacks]
        )

    @property
    def _rank_batch(self) -> int:
        """Samples of one step on one rank."""
        return self.config.batch_size * self.config.accumulation_steps

    @property
    def _steps_per_epoch(self) -> int:
        return steps_left(self._sources["train"].num_examples, self._rank_batch * self._world.size)

    @property
    def _ahead(self) -> int:
        """What to add to the steps made to get to the run's place among ``_total_steps``.

        Not 0 where a run that is counted in epochs had other global batches before: on other ranks, epochs have more or
        fewer steps.
        """
        if self.config.steps is not None:
            return 0
        progress = self._progress
        left = steps_left(self._sources["train"].num_examples, self._rank_batch * self._world.size, progress.sample)
        return (progress.epoch + 1) * self._steps_per_epoch - left - progress.step

    @property
    def _total_steps(self) -> int:
        """Steps of the whole run, had all of them the present global batch."""
        steps, epochs = self.config.steps, self.config.epochs
        return steps if steps is not None else self._steps_per_epoch * (epochs or 0)

    def _plan(self) -> RunPlan:
        config, world = self.config, self._world
        epochs, rest = divmod(self._total_steps, self._steps_per_epoch)
        return RunPlan(
            model=config.model.label,
            dataset=config.dataset.name,
            task=config.task,
            parameters=self._model.count_params(),
            world_size=world.size,
            batch_size=config.batch_size,
            accumulation_steps=config.accumulation_steps,
            global_batch_size=self._rank_batch * world.size,
            rate_note=rate_note(config.optimizer, world.size),
            compilation_note=self._compilation_note,
            data_notes=self._task.notes,
            headline=self._task.headline,
            state_note=self._state_note,
            steps_per_epoch=self._steps_per_epoch,
            total_steps=self._total_steps - self._ahead,
            total_epochs=None if rest else epochs,
            directory=self.run_directory.path,
            resumed_from=self._progress.step,
        )

    def _fit_plan(self) -> FitPlan:
        config = self.config
        return FitPlan(
            source=self._sources["train"],
            batch_size=self._rank_batch,
            seed=config.seed,
            steps_per_execution=config.steps_per_execution,
            epochs=config.epochs,
            steps=config.steps,
            sync_check_steps=config.sync_check_steps,
        )

    def _validate(self, *, quickly: bool = True) -> dict[str, float]:
        with averaged_weights(self._trainer.optimizer):
            source = self._sources["validation"]
            return evaluate_source(self._task, self._rows_of, source, self._world, quickly=quickly)

    def _save(self) -> None:
        """A checkpoint, from the chief; every rank learns whether it could be written."""
        self._progress.wall_seconds += time.time() - self._begin
        self._begin = time.time()
        carried = self._gathered_carried()
        with self._world.agreement(), long_work("saving a checkpoint"):
            if self._world.is_chief:
                updates, folder = self._trainer.update_variables, self.run_directory.checkpoints
                with averaged_weights(self._trainer.optimizer):
                    save_checkpoint(folder, self._model, updates, self._progress, carried)
                prune(self.run_directory.checkpoints, self.config.keep_checkpoints, self._progress.best_step)

    def _finish(self) -> dict[str, Any]:
        validation = self._progress.validation
        if not validation or isinstance(self._rows_of, DecodingRows):  # which decodes all for the results
            validation = self._validate(quickly=False)
        with averaged_weights(self._trainer.optimizer):
            digest = weights_sha256(self._model)
            test = evaluate_source(self._task, self._rows_of, self._sources["test"], self._world)
        self._progress.wall_seconds += time.time() - self._begin
        summary = summarize(self._plan(), self._progress, validation, test, digest)
        with self._world.agreement():
            if self._world.is_chief:
                self.run_directory.write_summary(summary)
                self.run_directory.write_status(0, "done")
        return summary


def _check_not_past(config: TrainConfig, progress: Progress) -> None:
    done = progress.step if config.steps is not None else progress.epoch
    wanted = config.steps if config.steps is not None else config.epochs or 0
    if done > wanted:
        unit = "steps" if config.steps is not None else "epochs"
        raise UserError(f"--resume with {unit}={wanted}, but the run has done {done} already; give more {unit}")
