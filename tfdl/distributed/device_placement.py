"""Gives each rank of a host its own GPU, or its share of the host's cores."""

import os

import tensorflow as tf

from tfdl.distributed.cores import cores_of_rank
from tfdl.errors import UserError


def place_on_device(local_rank: int, local_size: int) -> None:
    """Makes one GPU visible to this rank. Without GPUs, the ranks share the host's cores evenly.

    Args:
        local_rank: this rank's number on its host.
        local_size: the number of ranks on this host.

    Raises:
        UserError: the host has more ranks than GPUs.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        _share_cores(local_size)
        return
    if local_size > len(gpus):
        num_gpus = "1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
        num_ranks = "1 rank" if len(gpus) == 1 else f"{len(gpus)} ranks"
        raise UserError(
            f"{local_size} ranks on a host with {num_gpus}, expected one GPU for each rank: start at most {num_ranks}"
            " on this host, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1 to train on the CPU"
        )
    gpu = gpus[local_rank]
    tf.config.set_visible_devices(gpu, "GPU")
    tf.config.experimental.set_memory_growth(gpu, True)


def _share_cores(local_size: int) -> None:
    """Limits TensorFlow's threads. By default each rank would start one thread per core, and ranks would compete."""
    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return  # the user's choice
    tf.config.threading.set_intra_op_parallelism_threads(cores_of_rank(local_size))
