"""What a rank that srun started knows from its environment, and what Horovod reads from there."""

import os
import socket
import zlib
from collections.abc import Sequence

from tfdl.distributed.slurm import NodeRank, find_node_rank
from tfdl.distributed.watchdog.wire import source_towards
from tfdl.errors import UserError

ADDRESS_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
PORT_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_PORT"
# Below the ports that kernels give to outgoing connections.
_FIRST_PORT = 20_000
_NUM_PORTS = 12_000


def read_node_rank(size: int, tasks_per_node: Sequence[int]) -> NodeRank:
    """This rank's position among the nodes.

    Args:
        size: the number of ranks.
        tasks_per_node: the number of ranks on each node.

    Raises:
        UserError: Slurm's variables are not those of one job step.
    """
    node = int(os.environ.get("SLURM_NODEID", "0"))
    if sum(tasks_per_node) != size or not node < len(tasks_per_node):
        num_ranks = "1 rank" if size == 1 else f"{size} ranks"
        raise UserError(
            f"SLURM_STEP_TASKS_PER_NODE={os.environ.get('SLURM_STEP_TASKS_PER_NODE')!r} and SLURM_NODEID={node} with"
            f" {num_ranks}, expected the values of one job step; start the ranks with srun"
        )
    local_rank = int(os.environ.get("SLURM_LOCALID", "0"))
    return find_node_rank(node, local_rank, tasks_per_node)


def set_horovod_variables(rank: int, size: int, node_rank: NodeRank) -> None:
    """Sets the variables that horovodrun would set, except for the store's address.

    Args:
        rank: this rank.
        size: the number of ranks.
        node_rank: its position among the nodes.
    """
    os.environ["HOROVOD_RANK"] = str(rank)
    os.environ["HOROVOD_SIZE"] = str(size)
    os.environ["HOROVOD_LOCAL_RANK"] = str(node_rank.local_rank)
    os.environ["HOROVOD_LOCAL_SIZE"] = str(node_rank.local_size)
    os.environ["HOROVOD_CROSS_RANK"] = str(node_rank.cross_rank)
    os.environ["HOROVOD_CROSS_SIZE"] = str(node_rank.cross_size)
    os.environ["HOROVOD_HOSTNAME"] = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    os.environ["HOROVOD_CONTROLLER"] = "gloo"
    os.environ["HOROVOD_CPU_OPERATIONS"] = "gloo"


def job_id() -> str:
    """The number of this job step. A job that Slurm has restarted has another one."""
    job = os.environ.get("SLURM_JOB_ID")
    step = os.environ.get("SLURM_STEP_ID")
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    return f"{job}.{step}.{restarts}"


def default_port(job: str) -> int:
    """A port that depends on the job: two jobs on one node rarely use the same one.

    Args:
        job: the number of the job step.
    """
    return _FIRST_PORT + zlib.crc32(job.encode()) % _NUM_PORTS


def address_of_rank_0(host: str, rank: int, *, is_one_node: bool) -> str:
    """The address under which this rank reaches rank 0.

    Args:
        host: the name of rank 0's node.
        rank: this rank.
        is_one_node: whether all ranks are on that node.

    Raises:
        UserError: the name does not resolve, or to an address that other nodes cannot reach.
    """
    user_address = os.environ.get(ADDRESS_VARIABLE)
    if is_one_node and user_address is None:
        return "127.0.0.1"
    try:
        address = socket.gethostbyname(user_address or host)
    except OSError as error:
        raise UserError(
            f"rank 0's node {host!r} does not resolve on this node ({error}); set {ADDRESS_VARIABLE} to its address"
        ) from error
    if rank == 0 and not is_one_node and address.startswith("127."):
        raise UserError(
            f"{host} resolves to {address} on its own node, where other nodes cannot reach it; give it its routable"
            f" address in /etc/hosts, or set {ADDRESS_VARIABLE}"
        )
    return address


def choose_interface(address: str) -> None:
    """Makes Gloo listen on the interface that leads to rank 0, instead of the address of this host's name.

    Args:
        address: of rank 0.
    """
    import psutil

    source = source_towards(address)
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address == source for entry in entries):
            os.environ.setdefault("HOROVOD_GLOO_IFACE", name)
