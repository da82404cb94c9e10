"""Simulates Slurm's ``srun``: starts ``SLURM_NTASKS`` ranks of a command, and exits with their highest code.

``srun.py OPTION... COMMAND`` ignores the options, which begin with two dashes. The ranks are shared evenly among
``SLURM_JOB_NUM_NODES`` nodes, which are all this machine.
"""

import os
import subprocess
import sys
from itertools import dropwhile

command = list(dropwhile(lambda word: word.startswith("--"), sys.argv[1:]))
size = int(os.environ["SLURM_NTASKS"])
num_nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
ranks_per_node = size // num_nodes
processes = []
for rank in range(size):
    node = rank // ranks_per_node
    variables = {
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_STEP_TASKS_PER_NODE": f"{ranks_per_node}(x{num_nodes})" if num_nodes > 1 else str(ranks_per_node),
        "SLURM_STEP_NODELIST": f"node[1-{num_nodes}]" if num_nodes > 1 else "node1",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % ranks_per_node),
        "SLURM_NODEID": str(node),
        "SLURMD_NODENAME": f"node{node + 1}",
    }
    processes.append(subprocess.Popen(command, env={**os.environ, **variables}))
sys.exit(max(process.wait() for process in processes))
