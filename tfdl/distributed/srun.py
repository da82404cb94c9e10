"""Ranks that Slurm's ``srun`` started, without horovodrun and without ssh.

``srun`` starts the ranks on all nodes, passes signals on to all of them and returns their exit code. It has no
key-value store, which Gloo's ranks need to find each other and which horovodrun provides. Here rank 0 provides it until
the ranks are connected, on a port of its node that all ranks derive from the job's number.
"""

import os
import socket
import time
import urllib.request
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from threading import Thread
from typing import Any

from tfdl.distributed.slurm import NodeRank, expand_tasks, find_node_rank, first_host
from tfdl.distributed.watchdog.wire import source_towards
from tfdl.errors import UserError

START_SECONDS = 300.0
"""How long ranks wait for rank 0 to start; ``TFDL_START_SECONDS`` in the environment overrides it."""

_ADDRESS_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
_PORT_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_PORT"
# Below the ports that kernels give to outgoing connections.
_FIRST_PORT = 20_000
_NUM_PORTS = 12_000
_POLL_SECONDS = 0.2
_REQUEST_SECONDS = 5.0


def is_for_mpi(transports: Sequence[str]) -> bool:
    """Whether ``srun --mpi=pmix`` or ``pmi2`` started the ranks for a Horovod with MPI, which needs no store.

    Args:
        transports: those of the installed Horovod.
    """
    has_mpi_variables = "PMIX_RANK" in os.environ or "PMI_RANK" in os.environ
    controller = os.environ.get("HOROVOD_CONTROLLER", "mpi")
    return "mpi" in transports and has_mpi_variables and controller == "mpi"


class Rendezvous:
    """Lets the ranks of a job step find each other. ``close`` it when they are connected.

    It reads Slurm's variables and sets Horovod's. Variables that the user has set stay:
    ``HOROVOD_GLOO_RENDEZVOUS_ADDR`` and ``_PORT``, if other nodes reach rank 0's node under another address or the port
    is in use, and ``HOROVOD_GLOO_IFACE``.

    Args:
        size: the number of ranks.

    Raises:
        UserError: rank 0's host name does not resolve, its port is in use, or rank 0 does not appear.
    """

    def __init__(self, size: int):
        rank = int(os.environ["SLURM_PROCID"])
        tasks_per_node = expand_tasks(os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
        node_rank = _read_node_rank(size, tasks_per_node)
        _set_horovod_variables(rank, size, node_rank)
        self._job = _job_id()
        self._server: Any = None
        rank_0_host = first_host(os.environ.get("SLURM_STEP_NODELIST", ""))
        self._address = _address_of_rank_0(rank_0_host, rank, is_one_node=len(tasks_per_node) == 1)
        _choose_interface(self._address)
        self._port = int(os.environ.get(_PORT_VARIABLE) or _default_port(self._job))
        os.environ[_ADDRESS_VARIABLE] = self._address
        os.environ[_PORT_VARIABLE] = str(self._port)
        if rank == 0:
            self._serve()
        else:
            self._wait_for_rank_0()

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
                f" {_PORT_VARIABLE}=21000, or the address under which other nodes reach this node with"
                f" {_ADDRESS_VARIABLE}"
            ) from error
        self._server.cache["tfdl"] = {"job": self._job.encode()}
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _wait_for_rank_0(self) -> None:
        """Waits until the store answers, and is the store of this job."""
        # Without the user's HTTP proxy: rank 0 is on the job's own network.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://{self._address}:{self._port}/tfdl/job"
        seconds = float(os.environ.get("TFDL_START_SECONDS", START_SECONDS))
        deadline = time.monotonic() + seconds
        problem = "no answer"
        while time.monotonic() < deadline:
            try:
                with opener.open(url, timeout=_REQUEST_SECONDS) as response:
                    job = response.read().decode(errors="replace")
                if job == self._job:
                    return
                problem = f"job {job} answered"
            except (OSError, HTTPException) as error:
                problem = str(getattr(error, "reason", error))
            time.sleep(_POLL_SECONDS)
        raise UserError(
            f"rank 0 of job step {self._job} was not found at {self._address}:{self._port} in {seconds:.0f} s"
            f" ({problem}); see rank 0's own error, or set {_ADDRESS_VARIABLE} to its address and {_PORT_VARIABLE} to a"
            " port that is open between nodes"
        )


def _read_node_rank(size: int, tasks_per_node: Sequence[int]) -> NodeRank:
    node = int(os.environ.get("SLURM_NODEID", "0"))
    if sum(tasks_per_node) != size or not node < len(tasks_per_node):
        num_ranks = "1 rank" if size == 1 else f"{size} ranks"
        raise UserError(
            f"SLURM_STEP_TASKS_PER_NODE={os.environ.get('SLURM_STEP_TASKS_PER_NODE')!r} and SLURM_NODEID={node} with"
            f" {num_ranks}, expected the values of one job step; start the ranks with srun"
        )
    local_rank = int(os.environ.get("SLURM_LOCALID", "0"))
    return find_node_rank(node, local_rank, tasks_per_node)


def _set_horovod_variables(rank: int, size: int, node_rank: NodeRank) -> None:
    """Sets the variables that horovodrun would set, except for the store's address."""
    os.environ["HOROVOD_RANK"] = str(rank)
    os.environ["HOROVOD_SIZE"] = str(size)
    os.environ["HOROVOD_LOCAL_RANK"] = str(node_rank.local_rank)
    os.environ["HOROVOD_LOCAL_SIZE"] = str(node_rank.local_size)
    os.environ["HOROVOD_CROSS_RANK"] = str(node_rank.cross_rank)
    os.environ["HOROVOD_CROSS_SIZE"] = str(node_rank.cross_size)
    os.environ["HOROVOD_HOSTNAME"] = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    os.environ["HOROVOD_CONTROLLER"] = "gloo"
    os.environ["HOROVOD_CPU_OPERATIONS"] = "gloo"


def _job_id() -> str:
    """The number of this job step. A job that Slurm has restarted has another one."""
    job = os.environ.get("SLURM_JOB_ID")
    step = os.environ.get("SLURM_STEP_ID")
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    return f"{job}.{step}.{restarts}"


def _default_port(job: str) -> int:
    """A port that depends on the job, so that two jobs on one node rarely use the same one."""
    return _FIRST_PORT + zlib.crc32(job.encode()) % _NUM_PORTS


def _address_of_rank_0(host: str, rank: int, *, is_one_node: bool) -> str:
    """The address under which this rank reaches rank 0."""
    user_address = os.environ.get(_ADDRESS_VARIABLE)
    if is_one_node and user_address is None:
        return "127.0.0.1"
    try:
        address = socket.gethostbyname(user_address or host)
    except OSError as error:
        raise UserError(
            f"rank 0's node {host!r} does not resolve on this node ({error}); set {_ADDRESS_VARIABLE} to its address"
        ) from error
    if rank == 0 and not is_one_node and address.startswith("127."):
        raise UserError(
            f"{host} resolves to {address} on its own node, where other nodes cannot reach it; give it its routable"
            f" address in /etc/hosts, or set {_ADDRESS_VARIABLE}"
        )
    return address


def _choose_interface(address: str) -> None:
    """Makes Gloo listen on the interface that leads to rank 0, instead of the address of this host's name."""
    import psutil

    source = source_towards(address)
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address == source for entry in entries):
            os.environ.setdefault("HOROVOD_GLOO_IFACE", name)
