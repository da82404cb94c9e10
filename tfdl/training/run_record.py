"""The run directory, as a session on one rank writes it."""

import contextlib
from typing import Any

from tfdl.config import TrainConfig
from tfdl.errors import RunError, exit_code, first_line
from tfdl.runs import RunDirectory
from tfdl.tasks.task import Task
from tfdl.training.output import Output
from tfdl.training.python_parts import PythonParts


class RunRecord:
    """Creates or continues a run directory, and keeps its status.

    Args:
        output: where the run goes.

    Attributes:
        run: the directory; another one than planned if another run took that name first.
        is_open: whether the directory is this session's to write in.
    """

    def __init__(self, output: Output):
        self._output = output
        self.run: RunDirectory = output.run
        self.is_open = False

    @property
    def checkpoint(self) -> Any:
        """The checkpoint to continue from; none for a new run."""
        return self._output.checkpoint

    def create(self, config: TrainConfig, task: Task, python_parts: PythonParts) -> None:
        """Makes the directory of a new run; called on the chief.

        Args:
            config: of the run.
            task: saves what it learned from the data.
            python_parts: saves what Python code passed.
        """
        if self._output.is_named_by_us:
            self.run = self.run.claim()
        self.is_open = True
        self.run.create(config)
        task.save(self.run.assets)
        python_parts.save(self.run.assets)
        self.note(None, "running")

    def resume(self, config: TrainConfig) -> None:
        """Takes the directory of a run that continues; called on the chief.

        Args:
            config: of the run, with its new length.
        """
        self.is_open = True
        self.run.write_config(config)
        self.note(None, "running")

    def take_over(self, reason: str) -> None:
        """Takes the directory after the ranks changed; called on the new chief.

        Args:
            reason: for ``status.json``.

        Raises:
            RunError: the directory is not there.
        """
        if not self.run.has_run():
            raise RunError(
                f"the run directory {str(self.run.path)!r} is not on this host, which has become the first one; an"
                " elastic run needs one on storage that all hosts share"
            )
        self.is_open = True
        self.note(None, reason)

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes the results; called on the chief.

        Args:
            summary: of the run.
        """
        self.run.write_summary(summary)
        self.note(0, "done")

    def note(self, code: int | None, reason: str) -> None:
        """Writes ``status.json``.

        Args:
            code: the exit code; none while the run is running.
            reason: in one line.
        """
        self.run.write_status(code, reason)

    def note_error(self, error: BaseException) -> None:
        """Records why the run ended, if there is a directory to record it in."""
        self.note_verdict(exit_code(error), first_line(error))

    def note_verdict(self, code: int, reason: str) -> None:
        """Records why another rank ended the run, called by the watchdog.

        Args:
            code: the exit code.
            reason: in one line.
        """
        if self.is_open:
            with contextlib.suppress(OSError):
                self.note(code, reason)
