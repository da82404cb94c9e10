"""``tfdl.train``: what ``tfdl train`` does, as a function."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tfdl import distributed
from tfdl.config import TrainConfig
from tfdl.distributed.watchdog import current_watchdog
from tfdl.errors import UserError
from tfdl.runs import RunDirectory
from tfdl.training.callbacks import Callback
from tfdl.training.elastic import train_elastic
from tfdl.training.output import Output, claim_output
from tfdl.training.session import Session


def train(
    config: TrainConfig | None = None,
    output: str | Path | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    elastic: bool = False,
    commit_steps: int | None = None,
) -> RunDirectory:
    """Trains as ``tfdl train`` does, alone or as one of the ranks that horovodrun started.

    Args:
        config: the run; none is the CNN on digits, or with ``resume`` the run's own.
        output: the run directory; none makes ``runs/<model>-<dataset>-<time>``.
        resume: go on from the last checkpoint in ``output``; an empty or new directory starts fresh.
        overwrite: replace a run that ``output`` holds.
        callbacks: more eyes on the run, beside its own logs.
        elastic: ranks may die and join while it trains; needs horovodrun with a host discovery script.
        commit_steps: with ``elastic``, steps after which the state is kept in memory, to go on from; none is 100.

    Returns:
        The finished run's directory.

    Raises:
        UserError: input that cannot be used; nothing is written.
        RunError: the work failed; the last checkpoint stays.
        StoppedError: a signal asked to stop; a checkpoint is saved.
    """
    begin = time.time()
    if elastic:
        claim = partial(claim_output, output, config, resume=resume, overwrite=overwrite)
        return train_elastic(claim, callbacks, commit_steps, begin)
    if commit_steps is not None:
        raise UserError(f"--commit-steps={commit_steps} without --elastic, expected both; other runs are not committed")
    world = distributed.init((config or TrainConfig()).watchdog_timeout)
    place: Output | None = None
    with world.agreement():
        if world.is_chief:
            place = claim_output(output, config, resume=resume, overwrite=overwrite)
    session = Session(world.broadcast_object(place), world, begin)
    watchdog = current_watchdog()
    watchdog.set_timeout(session.config.watchdog_timeout)  # a resumed run's own
    watchdog.on_verdict(session.note_verdict)
    try:
        session.prepare()
        session.run(callbacks)
    except BaseException as error:
        watchdog.await_cause(error)
        session.leave(error)
        raise
    watchdog.on_verdict(None)
    return session.run_directory
