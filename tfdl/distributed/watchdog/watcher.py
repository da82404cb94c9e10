"""The watchdog's thread on every rank: sends heartbeats, receives messages, and acts on verdicts."""

import contextlib
import signal
import threading
import time
from collections import deque
from typing import Any

from tfdl.distributed.collective_counts import collective_counts
from tfdl.distributed.watchdog.clock import AwakeClock
from tfdl.distributed.watchdog.coordinator import Coordinator
from tfdl.distributed.watchdog.coordinator_states import CoordinatorStates
from tfdl.distributed.watchdog.dead_man import DeadMansSwitch
from tfdl.distributed.watchdog.decision import ALL_KINDS, ELASTIC_KINDS
from tfdl.distributed.watchdog.enforcement import Enforcement
from tfdl.distributed.watchdog.heartbeat import ReportSource
from tfdl.distributed.watchdog.links import Arrival
from tfdl.distributed.watchdog.messages import format_verdict
from tfdl.distributed.watchdog.peers import Peers
from tfdl.distributed.watchdog.process_exit import exit_process, write_stderr
from tfdl.distributed.watchdog.stacks import python_stacks
from tfdl.distributed.watchdog.termination import Termination, termination_deadline

# While a verdict may be near, a coordinator looks again after so many seconds.
_IN_DOUBT_SECONDS = 0.1


class Watcher(threading.Thread):
    """One rank's thread. A coordinator's thread also decides.

    Other threads may call ``deliver`` and ``finish``; everything else runs in this thread.

    Args:
        rank: this rank.
        peers: all ranks and their connections.
        timeout: the watchdog's timeout in seconds; may be changed while the thread runs.
        elastic: a rank that hangs is ended alone, and the others continue. Ranks that all wait for each other are
            ended together.
    """

    def __init__(self, rank: int, peers: Peers, timeout: float, elastic: bool):
        super().__init__(name="tfdl watchdog", daemon=True)
        self.timeout = timeout
        self._rank = rank
        self._members = peers.members
        self._links = peers.links
        self._elastic = elastic
        self._reports = ReportSource(collective_counts())
        self._dead_mans_switch = DeadMansSwitch()
        self.enforcement = Enforcement(rank, peers.members, peers.links, self._dead_mans_switch)
        self.termination = Termination(peers.links.wake_descriptor)
        self._termination_requested_at: float | None = None

        # In a job of very many ranks heartbeats are less frequent, so that rank 0 can process them.
        self._max_heartbeat_seconds = max(1.0, len(peers.members) / 100)
        self._clock = AwakeClock(longest=2 * self._max_heartbeat_seconds + 1.0)
        self._next_heartbeat = time.monotonic()

        self._coordinator: Coordinator | None = None
        if rank in peers.coordinators:
            turn = peers.coordinators.index(rank)
            kinds = ELASTIC_KINDS if elastic else ALL_KINDS
            self._coordinator = Coordinator(peers.members, turn, 0.0, kinds)
        other_coordinators = [coordinator for coordinator in peers.coordinators if coordinator != rank]
        self._coordinator_states = CoordinatorStates(other_coordinators)

        self._outbox: deque[dict[str, Any]] = deque()
        self._is_stopping = threading.Event()

    def deliver(self, **message: Any) -> None:
        """Sends a message to the coordinators. May be called from any thread."""
        self._outbox.append(message)
        self._links.wake()

    def finish(self) -> None:
        """Makes the thread say goodbye and end. May be called from any thread."""
        self._is_stopping.set()
        self._links.wake()

    def run(self) -> None:
        """Runs until ``finish`` is called or the process ends."""
        try:
            while not self._is_stopping.is_set():
                self._turn()
        finally:
            with contextlib.suppress(Exception):  # without a goodbye the other ranks would take this rank for dead
                self._say_goodbye("done")
            self._dead_mans_switch.close()
            self._links.close()

    @property
    def _heartbeat_seconds(self) -> float:
        return min(self._max_heartbeat_seconds, self.timeout / 10)

    @property
    def _is_in_doubt(self) -> bool:
        return self._coordinator is not None and self._coordinator.is_in_doubt

    def _turn(self) -> None:
        """Waits for messages or the next heartbeat, and handles all that has happened."""
        wait_seconds = self._next_heartbeat - time.monotonic()
        if self._is_in_doubt:
            wait_seconds = min(wait_seconds, _IN_DOUBT_SECONDS)
        arrivals = self._links.poll(wait_seconds)
        now = self._clock.advance()
        for arrival in arrivals:
            self._handle(arrival, now)
        while self._outbox:
            # The report first, so that the message is judged with this rank's latest step.
            self._send_to_coordinators({"report": self._reports.read(self.timeout)}, now)
            self._send_to_coordinators(self._outbox.popleft(), now)
        if time.monotonic() >= self._next_heartbeat:
            self._send_heartbeat(now)
        if self._coordinator is not None:
            self._coordinate(self._coordinator, now)
        elif not self._elastic:
            self._check_coordinators(now)
        self._check_termination()

    def _send_heartbeat(self, now: float) -> None:
        self._next_heartbeat = time.monotonic() + self._heartbeat_seconds
        self._dead_mans_switch.reset(self.timeout)
        self._send_to_coordinators({"report": self._reports.read(self.timeout)}, now)
        self._links.send_to_members(beat=True)

    def _send_to_coordinators(self, message: dict[str, Any], now: float) -> None:
        if self._coordinator is not None:
            self._coordinator.handle(self._rank, message, now)
        self._links.send_to_coordinators(**message)

    def _handle(self, arrival: Arrival, now: float) -> None:
        if arrival.from_coordinator:
            self._handle_from_coordinator(arrival.rank, arrival.message, now)
            return
        coordinator = self._coordinator
        assert coordinator is not None  # only coordinators accept connections
        if arrival.message is None:
            coordinator.disconnect(arrival.rank, now)
        elif arrival.rank in coordinator.states:
            coordinator.handle(arrival.rank, arrival.message, now)

    def _handle_from_coordinator(self, rank: int, message: dict[str, Any] | None, now: float) -> None:
        """Handles a coordinator's message, or the end of its connection."""
        if message is None:
            self._coordinator_states.disconnect(rank, now)
            return
        self._coordinator_states.hear(rank, now)
        if message.get("bye"):
            self._coordinator_states.leave(rank)
        elif message.get("stacks"):
            if rank in self._links.coordinators:
                self._links.coordinators[rank].send(stacks=python_stacks())
        elif message.get("told"):
            self.enforcement.error_printed.set()
        elif "end" in message:
            is_excused = self._rank in message["excused"]
            self.enforcement.end_process(int(message["end"]), list(message["kill"]), is_excused)
        elif "kill" in message:
            self.enforcement.kill(list(message["kill"]))

    def _coordinate(self, coordinator: Coordinator, now: float) -> None:
        """Acts on the coordinator's verdict, if there is one."""
        coordinator.connections = self._links.members
        verdict = coordinator.consider(now, self.timeout, self._heartbeat_seconds)
        if verdict is None:
            return
        if self._elastic and verdict.ranks:
            self.enforcement.end_culprits(coordinator)
        else:
            self.enforcement.end_job(coordinator)

    def _check_coordinators(self, now: float) -> None:
        """Ends this process if all coordinators are lost."""
        verdict = self._coordinator_states.verdict(now, self.timeout)
        if verdict is None:
            return
        hosts = [member.host for member in self._members]
        line = format_verdict(verdict, hosts, self._coordinator_states.states)
        write_stderr(f"tfdl: {line}\n")
        self.enforcement.end_process(1)

    def _check_termination(self) -> None:
        """After SIGTERM, ends the process immediately, or after a verdict that is near."""
        is_requested = signal.SIGTERM in self._links.signals and self.termination.is_in_force
        if is_requested and self._termination_requested_at is None:
            self._termination_requested_at = time.monotonic()
        if self._termination_requested_at is None:
            return
        if self._is_in_doubt and time.monotonic() <= termination_deadline(self._termination_requested_at):
            return
        self._say_goodbye("asked")
        exit_process(128 + signal.SIGTERM)

    def _say_goodbye(self, reason: str) -> None:
        self._links.send_to_coordinators(report=self._reports.read(self.timeout))
        self._links.send_to_coordinators(bye=reason)
        self._links.send_to_members(bye=reason)
