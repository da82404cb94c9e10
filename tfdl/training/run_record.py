"""The run directory of a session: who creates it, and its status."""

import contextlib
import shlex
from collections.abc import Mapping
from typing import Any

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.sources import sample_counts
from tfdl.errors import RunError, UserError, advise, exit_code, first_line
from tfdl.runs import RunDirectory
from tfdl.runs.run_lock import RunLock
from tfdl.runs.sample_counts import save_sample_counts
from tfdl.tasks.task import Task
from tfdl.training.output import Output
from tfdl.training.python_parts import PythonParts


class RunRecord:
    """Creates or continues a run directory, and writes its status.

    Args:
        output: the planned directory.

    Attributes:
        run: the directory. It has another name than planned if another run took the planned name first.
        is_open: whether this session may write to the directory.
        weights_note: a line about the run whose weights this one starts from; empty without any.
        checkpoint_note: a line about damaged checkpoints that a resumed run passes over; empty without any.
        lock_note: a line about a run directory that cannot be locked; empty if it is locked.
        held_lock: of the directory. An elastic job gives it to its next session.
    """

    def __init__(self, output: Output):
        self._output = output
        self.run: RunDirectory = output.run
        self.is_open = False
        self.weights_note = ""
        self.checkpoint_note = ""
        self.lock_note = ""
        self.held_lock: RunLock | None = None

    @property
    def checkpoint(self) -> Any:
        """The checkpoint to resume from; None for a new run."""
        return self._output.checkpoint

    @property
    def beginning_note(self) -> str:
        """A line about a run that was to be resumed and begins at its first step; empty otherwise."""
        return self._output.note

    @property
    def config_before(self) -> TrainConfig | None:
        """The configuration of a resumed run until now; None for a new run."""
        return self._output.before

    def create(self, config: TrainConfig, task: Task, sources: Mapping[str, Source], python_parts: PythonParts) -> None:
        """Makes the directory of a new run; called on rank 0.

        Args:
            config: of the run.
            task: its tables, such as a vocabulary, are saved.
            sources: the splits; how many samples each of them has is saved.
            python_parts: the objects that Python code passed are saved.
        """
        if self._output.is_named_by_us:
            self.run = self.run.claim()
        self.run.make()
        if self.held_lock is None:
            self.lock()
            self._check_unchanged()
        self.is_open = True
        self.run.remove_left_over()
        self.run.create(config)
        task.save(self.run.assets)
        save_sample_counts(self.run.assets, sample_counts(sources))
        python_parts.save(self.run.assets)
        self.note(None, "running")

    def _check_unchanged(self) -> None:
        """Refuses a directory that another job has written to since this one looked."""
        has_new_run = self.run.has_run() and not self._output.replaces
        # A run without a checkpoint begins again when it is resumed. Now it could be continued.
        has_new_checkpoint = self._output.before is not None and self.run.newest_checkpoint() is not None
        if has_new_run or has_new_checkpoint:
            raise UserError(
                f"another job has trained in {str(self.run.path)!r} while this one prepared its data; start it again,"
                " with --resume or with another --output"
            )

    def lock(self) -> None:
        """Keeps other jobs from writing to the directory, until ``release``; called on rank 0.

        Raises:
            UserError: another job has it.
        """
        if self.held_lock is None:
            lock = RunLock(self.run.path)
            self.lock_note = lock.acquire()
            self.held_lock = lock

    def release(self) -> None:
        """Lets other jobs write to the directory."""
        if self.held_lock is not None:
            self.held_lock.release()
            self.held_lock = None

    def resume(self, config: TrainConfig) -> None:
        """Opens the directory of a resumed run; called on rank 0.

        Args:
            config: of the run, with its new length.
        """
        self.is_open = True
        self.run.remove_left_over()
        self.run.write_config(config)
        self.note(None, "running")

    def take_over(self, reason: str) -> None:
        """Opens the directory after the ranks changed; called on the new rank 0.

        Args:
            reason: for ``status.json``.

        Raises:
            RunError: this host does not have the directory.
        """
        if not self.run.has_run():
            raise RunError(
                f"the run directory {str(self.run.path)!r} is not on this host, which now has rank 0; an elastic run"
                " needs a directory on storage that all hosts share"
            )
        with contextlib.suppress(UserError):  # the job's former rank 0, which was lost, may not have ended yet
            self.lock()
        self.is_open = True
        self.note(None, reason)

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes the results; called on rank 0.

        Args:
            summary: of the run.
        """
        self.run.write_summary(summary)
        self.note(0, "done")

    def note(self, code: int | None, reason: str) -> None:
        """Writes ``status.json``.

        Args:
            code: the exit code; None while the run is running.
            reason: in one line.
        """
        self.run.write_status(code, reason)

    def note_error(self, error: BaseException) -> None:
        """Records why the run ended, if this session may write to the directory.

        It is written to ``status.json``, and the error gets advice on how to continue.

        Args:
            error: what ended the run.
        """
        advise(error, self.note_verdict(exit_code(error), first_line(error)))

    def note_verdict(self, code: int, reason: str) -> str:
        """Writes to ``status.json`` why the run ended. The watchdog calls it with another rank's error.

        Args:
            code: the exit code.
            reason: in one line.

        Returns:
            How to continue the run; empty if this session may not write to the directory.
        """
        if not self.is_open:
            return ""
        with contextlib.suppress(OSError):
            self.note(code, reason)
        return self._advice()

    def _advice(self) -> str:
        """Which checkpoint there is, and the options that continue the run."""
        options = f"--output {shlex.quote(str(self.run.path))}"
        options += "".join(f" --plugin {name}" for name in self._output.config.plugins)
        checkpoint = self.run.newest_checkpoint()
        if checkpoint is None:
            return f"no checkpoint was saved; begin again with {options} --overwrite"
        number = checkpoint.name.rpartition("-")[2]
        # A copied run may have a folder in place of the link to the last checkpoint.
        which = f"the checkpoint of step {int(number)}" if number.isdecimal() else "the last checkpoint"
        return f"{which} is saved; continue with {options} --resume"
