"""Ranks that Slurm's ``srun`` started, without horovodrun and without ssh.

``srun`` starts the ranks on all nodes, passes signals on to every one of them and answers with their exit code. What it
does not have is the store of keys and values through which Gloo's ranks find each other, which horovodrun keeps. Here
rank 0 keeps it, for as long as the ranks need to connect, on a port of its node that all ranks derive from the job.
"""

import os
import re
import socket
import time
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from http.client import HTTPException
from threading import Thread
from typing import Any

from tfdl.distributed.watchdog.wire import source_towards
from tfdl.errors import UserError

START_SECONDS = 300.0
"""How long ranks wait for rank 0 to start; ``TFDL_START_SECONDS`` in the environment sets another."""

_ADDRESS, _PORT = "HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"
_FIRST_PORT, _NUM_PORTS = 20_000, 12_000  # below those that kernels give to outgoing connections
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """A rank's place among the nodes, by Horovod's names: ``cross`` counts nodes that have this local rank."""

    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int


def place_of(node: int, local_rank: int, tasks_per_node: Sequence[int]) -> Place:
    """The place of a rank of the node with this number."""
    peers = [other for other, tasks in enumerate(tasks_per_node) if tasks > local_rank]
    return Place(local_rank, tasks_per_node[node], peers.index(node), len(peers))


def expand_tasks(text: str) -> list[int]:
    """Slurm's ``4(x2),3`` as ``[4, 4, 3]``."""
    tasks = []
    for tasks_text, _, times in re.findall(r"(\d+)(\(x(\d+)\))?", text):
        tasks += [int(tasks_text)] * int(times or 1)
    return tasks


def first_host(nodelist: str) -> str:
    """The first of Slurm's ``gpu[07-09,12],login1``: ``gpu07``."""
    first = re.split(r",(?![^\[]*\])", nodelist)[0]
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)


def is_for_mpi(transports: Sequence[str]) -> bool:
    """Whether ``srun --mpi=pmix`` or ``pmi2`` started ranks of a Horovod that has MPI, which then needs no store."""
    by_mpi = "PMIX_RANK" in os.environ or "PMI_RANK" in os.environ
    return "mpi" in transports and by_mpi and os.environ.get("HOROVOD_CONTROLLER", "mpi") == "mpi"


class Rendezvous:
    """Lets the ranks of a job step find each other; an object to close once they have.

    Reads Slurm's variables and sets Horovod's. What the user has set stays: ``HOROVOD_GLOO_RENDEZVOUS_ADDR`` and
    ``_PORT`` where rank 0's node has another address for the others, or the port is taken; ``HOROVOD_GLOO_IFACE``.

    Raises:
        UserError: rank 0's node does not resolve, its port is taken, or it does not show up.
    """

    def __init__(self, size: int):
        env = os.environ
        rank = int(env["SLURM_PROCID"])
        self._job = f"{env.get('SLURM_JOB_ID')}.{env.get('SLURM_STEP_ID')}.{env.get('SLURM_RESTART_COUNT', '0')}"
        self._server: Any = None
        tasks = expand_tasks(env.get("SLURM_STEP_TASKS_PER_NODE", ""))
        node = int(env.get("SLURM_NODEID", "0"))
        if sum(tasks) != size or not node < len(tasks):
            raise UserError(
                f"SLURM_STEP_TASKS_PER_NODE={env.get('SLURM_STEP_TASKS_PER_NODE')!r} and SLURM_NODEID={node} with"
                f" {size} ranks, expected the numbers of one job step; start the ranks with srun"
            )
        place = place_of(node, int(env.get("SLURM_LOCALID", "0")), tasks)
        names = ("LOCAL_RANK", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")
        numbers = dict(zip(names, astuple(place), strict=True)) | {"RANK": rank, "SIZE": size}
        env.update({f"HOROVOD_{name}": str(number) for name, number in numbers.items()})
        env["HOROVOD_HOSTNAME"] = env.get("SLURMD_NODENAME") or socket.gethostname()
        env["HOROVOD_CONTROLLER"] = env["HOROVOD_CPU_OPERATIONS"] = "gloo"
        self._address = _address(first_host(env.get("SLURM_STEP_NODELIST", "")), rank, one_node=len(tasks) == 1)
        _choose_interface(self._address)
        self._port = int(env.get(_PORT) or _FIRST_PORT + zlib.crc32(self._job.encode()) % _NUM_PORTS)
        env[_ADDRESS], env[_PORT] = self._address, str(self._port)
        if rank == 0:
            self._serve()
        else:
            self._await_rank_0()

    def close(self) -> None:
        """Ends the store. Whoever can reach its port can write to it, so it lives no longer than it must."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self) -> None:
        from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

        try:
            self._server = RendezvousHTTPServer((self._address, self._port), RendezvousHandler, 0)
        except OSError as error:
            raise UserError(
                f"rank 0 cannot listen on {self._address}:{self._port} ({error.strerror}); give the ranks another port"
                f" with {_PORT}=21000, or this node's address for the others with {_ADDRESS}"
            ) from error
        self._server.cache["tfdl"] = {"job": self._job.encode()}
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _await_rank_0(self) -> None:
        """Until its store answers, and is that of this job."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://{self._address}:{self._port}/tfdl/job"
        seconds = float(os.environ.get("TFDL_START_SECONDS", START_SECONDS))
        deadline = time.monotonic() + seconds
        found = "no answer"
        while time.monotonic() < deadline:
            try:
                with opener.open(url, timeout=5.0) as response:
                    answer = response.read().decode(errors="replace")
                if answer == self._job:
                    return
                found = f"job {answer} is there"
            except (OSError, HTTPException) as error:
                found = str(getattr(error, "reason", error))
            time.sleep(_POLL_SECONDS)
        raise UserError(
            f"rank 0 of job step {self._job} was not found at {self._address}:{self._port} in {seconds:.0f} s"
            f" ({found}); see rank 0's own message, or set {_ADDRESS} to its address and {_PORT} to a port that is open"
            " between nodes"
        )


def _address(host: str, rank: int, *, one_node: bool) -> str:
    """Rank 0's address, as this rank sees it."""
    chosen = os.environ.get(_ADDRESS)
    if one_node and chosen is None:
        return "127.0.0.1"
    try:
        address = socket.gethostbyname(chosen or host)
    except OSError as error:
        raise UserError(
            f"rank 0's node {host!r} does not resolve here ({error}); set {_ADDRESS} to its address"
        ) from error
    if rank == 0 and not one_node and address.startswith("127."):
        raise UserError(
            f"{host} resolves to {address} on itself, where other nodes cannot reach it; in /etc/hosts give it its"
            f" routable address, or set {_ADDRESS}"
        )
    return address


def _choose_interface(address: str) -> None:
    """Gloo listens on the interface that leads to rank 0, rather than where this host's own name points."""
    import psutil

    source = source_towards(address)
    for name, found in psutil.net_if_addrs().items():
        if any(entry.address == source for entry in found):
            os.environ.setdefault("HOROVOD_GLOO_IFACE", name)
