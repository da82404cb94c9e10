"""Ranks that Slurm's ``srun`` started, without horovodrun and without ssh.

``srun`` starts the ranks on all nodes, passes signals on to all of them and returns their exit code. It has no
key-value store, which Gloo's ranks need to find each other and which horovodrun provides. Here rank 0 provides it until
the ranks are connected, on a port of its node that all ranks derive from the job's number.
"""

import os
import time
from collections.abc import Sequence
from threading import Thread
from typing import Any

from tfdl.distributed.held_signals import HeldSignals
from tfdl.distributed.slurm import expand_tasks, first_host
from tfdl.distributed.srun_variables import (
    ADDRESS_VARIABLE,
    PORT_VARIABLE,
    address_of_rank_0,
    choose_interface,
    default_port,
    job_id,
    read_node_rank,
    set_horovod_variables,
)
from tfdl.distributed.start_agreement import decide, follow_rank_0, stopped_at_start
from tfdl.distributed.store_client import SCOPE, StoreClient
from tfdl.errors import RunError, UserError

START_SECONDS = 300.0
"""How long a rank waits for rank 0 to start, and rank 0 for all other ranks; ``TFDL_START_SECONDS`` in the environment
overrides it."""

_POLL_SECONDS = 0.2


def is_for_mpi(transports: Sequence[str]) -> bool:
    """Whether ``srun --mpi=pmix`` or ``pmi2`` started the ranks for a Horovod with MPI, which needs no store.

    Args:
        transports: those of the installed Horovod.
    """
    has_mpi_variables = "PMIX_RANK" in os.environ or "PMI_RANK" in os.environ
    controller = os.environ.get("HOROVOD_CONTROLLER", "mpi")
    return "mpi" in transports and has_mpi_variables and controller == "mpi"


class Rendezvous:
    """Lets the ranks of a job step find each other, once all have started. ``close`` it when they are connected.

    It reads Slurm's variables and sets Horovod's. Variables that the user has set stay:
    ``HOROVOD_GLOO_RENDEZVOUS_ADDR`` and ``_PORT``, if other nodes reach rank 0's node under another address or the port
    is in use, and ``HOROVOD_GLOO_IFACE``.

    Args:
        size: the number of ranks.
        signals: that are held until the ranks are connected.

    Raises:
        UserError: rank 0's host name does not resolve, or its port is in use.
        RunError: a rank does not appear in time.
        StoppedBetweenStepsError: a signal has asked a rank to stop.
    """

    def __init__(self, size: int, signals: HeldSignals):
        rank = int(os.environ["SLURM_PROCID"])
        tasks_per_node = expand_tasks(os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
        set_horovod_variables(rank, size, read_node_rank(size, tasks_per_node))
        self._job = job_id()
        self._size = size
        self._signals = signals
        self._server: Any = None
        self._seconds = float(os.environ.get("TFDL_START_SECONDS", START_SECONDS))
        rank_0_host = first_host(os.environ.get("SLURM_STEP_NODELIST", ""))
        self._address = address_of_rank_0(rank_0_host, rank, is_one_node=len(tasks_per_node) == 1)
        choose_interface(self._address)
        self._port = int(os.environ.get(PORT_VARIABLE) or default_port(self._job))
        os.environ[ADDRESS_VARIABLE] = self._address
        os.environ[PORT_VARIABLE] = str(self._port)
        if rank == 0:
            self._serve()
            self._decide()
        else:
            store = StoreClient(self._address, self._port)
            self._wait_for_rank_0(store)
            follow_rank_0(store, rank, size, self._seconds, signals)

    def close(self) -> None:
        """Ends the store. Any host that reaches its port can write to it, so it should run no longer than needed."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self) -> None:
        """Starts the store, which also holds the job's number."""
        from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

        try:
            self._server = RendezvousHTTPServer((self._address, self._port), RendezvousHandler, 0)
        except OSError as error:
            raise UserError(
                f"rank 0 cannot listen on {self._address}:{self._port} ({error.strerror}); set another port with"
                f" {PORT_VARIABLE}=21000, or the address under which other nodes reach this node with"
                f" {ADDRESS_VARIABLE}"
            ) from error
        self._server.cache[SCOPE] = {"job": self._job.encode()}
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _decide(self) -> None:
        """Waits until all ranks have started, and closes the store if they are not to connect."""
        server = self._server

        def entries() -> dict[str, str]:
            with server.cache_lock:
                return {key: value.decode(errors="replace") for key, value in server.cache[SCOPE].items()}

        def publish(decision: str) -> None:
            with server.cache_lock:
                server.cache[SCOPE]["decision"] = decision.encode()

        try:
            decide(entries, publish, self._size, self._seconds, self._signals)
        except BaseException:
            self.close()
            raise

    def _wait_for_rank_0(self, store: StoreClient) -> None:
        """Waits until the store answers, and is the store of this job."""
        deadline = time.monotonic() + self._seconds
        problem = "no answer"
        while time.monotonic() < deadline:
            if self._signals.name:
                raise stopped_at_start(self._signals.name)
            try:
                job = store.get("job")
                if job == self._job:
                    return
                problem = f"job {job} answered" if job else "another program answered"
            except OSError as error:
                problem = str(getattr(error, "reason", error))
            time.sleep(_POLL_SECONDS)
        raise RunError(
            f"rank 0 of job step {self._job} was not found at {self._address}:{self._port} in {self._seconds:.0f} s"
            f" ({problem}); see rank 0's own error, or set {ADDRESS_VARIABLE} to its address and {PORT_VARIABLE} to a"
            " port that is open between nodes"
        )
