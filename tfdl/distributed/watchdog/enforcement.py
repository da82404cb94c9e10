"""Carries out verdicts: prints the error, ends other ranks, and ends this process."""

import threading
import time
from collections.abc import Callable, Sequence

from tfdl.distributed.watchdog.coordinator import Coordinator
from tfdl.distributed.watchdog.dead_man import DeadMansSwitch
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.members import Member, kill_if_here
from tfdl.distributed.watchdog.process_exit import exit_process, write_stderr
from tfdl.distributed.watchdog.stacks import python_stacks

# How long a rank with its own error may take to end by itself, once the other ranks have ended.
_UNWIND_SECONDS = 1.0
# How long a coordinator waits for the other ranks to read its last message.
_DELIVERY_SECONDS = 0.5


class Enforcement:
    """Ends ranks, from the watchdog's thread.

    Args:
        rank: this rank.
        members: all ranks.
        links: this rank's connections.
        dead_mans_switch: disarmed before this process ends.
    """

    def __init__(self, rank: int, members: Sequence[Member], links: Links, dead_mans_switch: DeadMansSwitch):
        self._rank = rank
        self._members = members
        self._links = links
        self._dead_mans_switch = dead_mans_switch
        self.note: Callable[[int, str], str] | None = None
        """Called by a coordinator with exit code and reason before it ends the job because of another rank; returns
        advice to print, or an empty text."""
        self.error_printed = threading.Event()
        """Set once a coordinator has printed this rank's own error."""

    def end_job(self, coordinator: Coordinator) -> None:
        """Prints the coordinator's verdict and ends all ranks, this one last."""
        verdict = coordinator.verdict
        assert verdict is not None
        coordinator.keep_stacks(self._rank, python_stacks())
        write_stderr(coordinator.message())
        # Ranks with this error end by themselves, so that they can print a traceback.
        excused = [
            rank
            for rank, state in coordinator.states.items()
            if state.failure is not None and state.failure.line == verdict.line
        ]
        is_excused = self._rank in excused
        if self.note is not None and not is_excused:
            advice = self.note(verdict.code, coordinator.line())
            if advice:
                write_stderr(f"tfdl: {advice}\n")
        for rank in excused:
            if rank in self._links.members:
                self._links.members[rank].send(told=True)
        self.error_printed.set()
        kill = list(verdict.ranks) if verdict.kind == "silent" else []
        self._links.send_to_members(end=verdict.code, kill=kill, excused=excused)
        self._wait_for_disconnection(excused)
        self.end_process(verdict.code, kill, is_excused)

    def _wait_for_disconnection(self, excused: Sequence[int]) -> None:
        """Waits until all ranks have ended. Those that end by themselves get time to print a traceback."""
        deadline = time.monotonic() + (_UNWIND_SECONDS if excused else _DELIVERY_SECONDS)
        while self._links.members:
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0:
                return
            self._links.poll(remaining_seconds)

    def end_culprits(self, coordinator: Coordinator) -> None:
        """Prints the coordinator's verdict and ends only the ranks that hang."""
        verdict = coordinator.verdict
        assert verdict is not None
        culprits = list(verdict.ranks)
        coordinator.keep_stacks(self._rank, python_stacks())
        write_stderr(coordinator.message())
        for rank in culprits:
            if rank in self._links.members:
                self._links.members[rank].send(end=1, kill=[], excused=[])
        if self._rank in culprits:
            self.end_process(1)
        if verdict.kind == "silent":
            # A silent rank may not read its message, so a rank of the same host kills it.
            self._links.send_to_members(kill=culprits)
            self.kill(culprits)
        coordinator.dismiss()

    def end_process(self, code: int, kill: Sequence[int] = (), is_excused: bool = False) -> None:
        """Ends this process.

        Args:
            code: the exit code.
            kill: ranks to kill first, if they are on this host.
            is_excused: this rank ends with its own error, and gets time to print a traceback and to exit.
        """
        self._dead_mans_switch.disarm()
        if is_excused:
            time.sleep(_UNWIND_SECONDS)
        self.kill(kill)
        exit_process(code)

    def kill(self, ranks: Sequence[int]) -> None:
        """Kills those of the ranks that are on this host."""
        for rank in ranks:
            kill_if_here(self._members[rank])
