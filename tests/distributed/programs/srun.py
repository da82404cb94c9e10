"""Stands in for Slurm's ``srun``: starts ``SLURM_NTASKS`` ranks of a command, and exits with their highest code.

Options are those of the recipe, which are for Slurm. ``SLURM_JOB_NUM_NODES`` nodes share the ranks evenly; all of
them are this machine.
"""

import os
import subprocess
import sys

command = [
    word for place, word in enumerate(sys.argv[1:]) if not all(w.startswith("--") for w in sys.argv[1 : place + 2])
]
size, nodes = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
each = size // nodes
ranks = [
    subprocess.Popen(
        command,
        env={
            **os.environ,
            "SLURM_STEP_ID": "0",
            "SLURM_STEP_NUM_TASKS": str(size),
            "SLURM_STEP_TASKS_PER_NODE": f"{each}(x{nodes})" if nodes > 1 else str(each),
            "SLURM_STEP_NODELIST": f"node[1-{nodes}]" if nodes > 1 else "node1",
            "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank % each),
            "SLURM_NODEID": str(rank // each),
            "SLURMD_NODENAME": f"node{rank // each + 1}",
        },
    )
    for rank in range(size)
]
sys.exit(max(rank.wait() for rank in ranks))
