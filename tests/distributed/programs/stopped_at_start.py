"""``tfdl train ARGUMENTS`` whose rank 0 gets SIGUSR1 after the ranks have connected and before the first step."""

import os
import signal

from tfdl.cli.failures import launched_rank
from tfdl.cli.main import main
from tfdl.training.session import Session

prepare = Session.prepare


def prepare_and_be_stopped(session: Session) -> None:
    prepare(session)
    if launched_rank() == 0:
        os.kill(os.getpid(), signal.SIGUSR1)


Session.prepare = prepare_and_be_stopped
main()
