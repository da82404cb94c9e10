"""Reads Slurm's variables: how a job step's ranks are spread over its nodes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class NodeRank:
    """A rank's position among the nodes, by Horovod's names."""

    local_rank: int
    """The rank's number on its node."""
    local_size: int
    """The number of ranks on its node."""
    cross_rank: int
    """The number of its node among the nodes that have this local rank."""
    cross_size: int
    """The number of nodes that have this local rank."""


def find_node_rank(node: int, local_rank: int, tasks_per_node: Sequence[int]) -> NodeRank:
    """Finds a rank's position among the nodes.

    Args:
        node: the number of the rank's node.
        local_rank: the rank's number on its node.
        tasks_per_node: the number of ranks on each node.
    """
    nodes_with_local_rank = [index for index, num_tasks in enumerate(tasks_per_node) if num_tasks > local_rank]
    return NodeRank(
        local_rank=local_rank,
        local_size=tasks_per_node[node],
        cross_rank=nodes_with_local_rank.index(node),
        cross_size=len(nodes_with_local_rank),
    )


def expand_tasks(text: str) -> list[int]:
    """Expands Slurm's tasks per node: ``4(x2),3`` becomes ``[4, 4, 3]``."""
    tasks_per_node = []
    for num_tasks, _, num_nodes in re.findall(r"(\d+)(\(x(\d+)\))?", text):
        tasks_per_node += [int(num_tasks)] * int(num_nodes or 1)
    return tasks_per_node


def first_host(nodelist: str) -> str:
    """Returns the first host of Slurm's node list: ``gpu07`` for ``gpu[07-09,12],login1``."""
    first_entry = re.split(r",(?![^\[]*\])", nodelist)[0]  # at commas outside of brackets
    # Each bracket is replaced by its first number.
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first_entry)
