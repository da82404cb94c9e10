"""``tfdl.train``: what ``tfdl train`` does, as a function."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfdl import distributed
from tfdl.config import TrainConfig
from tfdl.distributed.watchdog import current_watchdog
from tfdl.errors import UserError
from tfdl.runs import RunDirectory
from tfdl.training.elastic import train_elastic
from tfdl.training.fast_dev_run import shortened, trial_directory
from tfdl.training.keras_callbacks import adapted
from tfdl.training.output import Output, claim_output
from tfdl.training.python_parts import PythonParts
from tfdl.training.session import Session

Resolve = Callable[[], TrainConfig | None]
"""Returns the run's configuration; None for the default one, or that of the resumed run."""
Claim = Callable[[TrainConfig | None], Output]
"""Decides where the run goes."""


def train(
    config: TrainConfig | None = None,
    output: str | Path | None = None,
    *,
    model: Any = None,
    optimizer: Any = None,
    data: Mapping[str, Any] | None = None,
    task: Any = None,
    callbacks: Sequence[Any] = (),
    resume: bool = False,
    overwrite: bool = False,
    elastic: bool = False,
    commit_steps: int | None = None,
    fast_dev_run: bool = False,
) -> RunDirectory:
    """Trains as ``tfdl train`` does, alone or as one of the ranks that horovodrun started.

    ::

        tfdl.train(tfdl.TrainConfig(model="cnn", epochs=5), "runs/five")
        tfdl.train(tfdl.TrainConfig(epochs=5), "runs/mine", model=model, data={"train": (x, y), "test": (x2, y2)})

    On several ranks call ``tfdl.distributed.init()`` before any tensor is made, or pass a function that builds the
    model.

    Args:
        config: the run's configuration. By default it is the CNN on digits, or with ``resume`` the run's own.
        output: the run directory; by default ``runs/<model>-<dataset>-<time>``.
        model: your own ``keras.Model``, or a function without arguments that builds one, in place of
            ``config.model``. Its classes must be registered (``keras.saving.register_keras_serializable``).
        optimizer: a ``keras.optimizers.Optimizer``, in place of ``config.optimizer``; by default the one that ``model``
            was compiled with.
        data: the splits, in place of ``config.dataset``: ``train`` and, if there are any, ``validation`` and ``test``.
            Each is ``(x, y)`` or ``(x, y, sample_weight)`` of NumPy arrays, a mapping of role to array, a
            ``keras.utils.PyDataset``, a ``tf.data.Dataset`` of single samples that repeats, or a ``tfdl.data.Source``.
            A missing validation split is cut from the training data; a missing test split is the validation split.
        task: in place of ``config.task``: a task's name, a ``tfdl.tasks.Task`` class, or a
            ``tfdl.tasks.Objective`` of a Keras loss and metrics; by default what ``model`` was compiled with.
        callbacks: ``tfdl.training.Callback`` and ``keras.callbacks.Callback`` objects that watch the run.
        resume: continue from the last checkpoint in ``output``; an empty or new directory starts a new run.
        overwrite: replace a run in ``output``.
        elastic: ranks may die and join while the run trains; needs horovodrun with a host discovery script.
        commit_steps: with ``elastic``, steps between two copies of the state to memory; by default 100.
        fast_dev_run: try every part of the run once, in seconds: two steps, validations, checkpoints, the evaluation.
            They are written to a directory beside ``output``, which is removed at the end.

    Returns:
        The finished run's directory; it no longer exists after ``fast_dev_run``.

    Raises:
        UserError: the input cannot be used; nothing is written.
        RunError: the work failed; the last checkpoint is kept.
        StoppedError: a signal asked the run to stop; a checkpoint is saved.
    """
    begin = time.time()
    if config is not None and not isinstance(config, TrainConfig):
        raise UserError(
            f"the configuration is a {type(config).__name__}, expected a TrainConfig, as in"
            ' tfdl.train(tfdl.TrainConfig(model="cnn")); your own Keras model is passed as model='
        )
    watchers = adapted(callbacks)
    python_parts = PythonParts(model, optimizer, data, task)
    resolve: Resolve = partial(_resolved, python_parts, output, config, resume)
    claim: Claim = partial(claim_output, output, resume=resume, overwrite=overwrite)
    if fast_dev_run:
        _check_trial(resume=resume, elastic=elastic)
        resolve = partial(_resolved_trial, resolve)
        claim = partial(_claimed_trial, claim, output)
    if elastic:
        return train_elastic(resolve, claim, watchers, python_parts, commit_steps, begin)
    if commit_steps is not None:
        raise UserError(
            f"--commit-steps={commit_steps} without --elastic: only elastic runs commit; pass both options, or neither"
        )
    world = distributed.init((config or TrainConfig()).watchdog_timeout, elastic=False)
    claimed: Output | None = None
    with world.agreement():
        resolved = resolve()  # every rank builds the model that was passed
        if world.is_chief:
            claimed = claim(resolved)
    session = Session(world.broadcast_object(claimed), world, begin, callbacks=watchers, python_parts=python_parts)
    watchdog = current_watchdog()
    watchdog.set_timeout(session.config.watchdog_timeout)  # a resumed run's own
    watchdog.on_verdict(session.record.note_verdict)
    try:
        session.prepare()
        session.run()
    except BaseException as error:
        watchdog.await_cause(error)
        if world.is_chief and not fast_dev_run:  # of which nothing is kept
            session.record.note_error(error)
        raise
    finally:
        session.record.release()
        if fast_dev_run and world.is_chief and session.record.is_open:
            shutil.rmtree(session.run_directory.path, ignore_errors=True)
    watchdog.on_verdict(None)
    return session.run_directory


def _check_trial(*, resume: bool, elastic: bool) -> None:
    """Raises ``UserError`` for what a trial cannot do."""
    for option, is_given in (("--resume", resume), ("--elastic", elastic)):
        if is_given:
            raise UserError(f"--fast-dev-run with {option}: it tries a new run on ranks that stay; leave {option} out")


def _resolved_trial(resolve: Resolve) -> TrainConfig | None:
    return shortened(resolve() or TrainConfig())


def _claimed_trial(claim: Claim, output: str | Path | None, config: TrainConfig | None) -> Output:
    """The directory of a trial, if the run itself could be written."""
    claim(config)
    return claim_output(trial_directory(output), config, resume=False, overwrite=True)


def _resolved(
    python_parts: PythonParts, output: str | Path | None, config: TrainConfig | None, resume: bool
) -> TrainConfig | None:
    """The configuration, with the parts that the passed objects replace.

    None if there is no configuration and no object: a resumed run then has its own configuration.
    """
    if not python_parts.replaces_parts:
        return config
    base = config
    if base is None and resume and output is not None and RunDirectory(output).has_run():
        base = RunDirectory(output).read_config()
    return python_parts.resolve(base or TrainConfig())
