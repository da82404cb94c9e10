"""The World of several ranks, over Horovod. The only module that calls Horovod's collectives."""

import os
from typing import Any

import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError


class HorovodWorld(World):
    """Ranks joined by Horovod: NCCL between GPUs, Gloo or MPI between CPUs.

    Args:
        launcher: the name of what started the ranks.
        size: the number of ranks that it started; Horovod must say the same.

    Raises:
        UserError: Horovod is missing or was built for another TensorFlow, it sees another number of ranks than the
            launcher started, or a host has more ranks than GPUs.
    """

    def __init__(self, launcher: str, size: int):
        # Horovod joins tensors that happen to be ready together, which makes sums depend on timing. tfdl fills large
        # buffers itself, in a fixed order, so that a run repeats bit for bit.
        os.environ.setdefault("HOROVOD_FUSION_THRESHOLD", "0")
        self._horovod = import_horovod(launcher, size)
        self._horovod.init()
        if self._horovod.size() != size:
            raise UserError(
                f"{launcher} started {size} ranks but Horovod sees {self._horovod.size()}"
                f" (this Horovod is built with {', '.join(transports()) or 'no transport'}): start the job with"
                " horovodrun, or build Horovod for mpirun with `tfdl install-horovod --mpi`"
            )
        self.find_place()
        try:
            place_on_device(self.local_rank, self.local_size)
        except RuntimeError as error:
            raise UserError(
                f"TensorFlow was in use before the ranks were known ({error}); call tfdl.distributed.init() first,"
                " before any tensor is made"
            ) from error

    def find_place(self) -> None:
        """Takes rank and size from Horovod."""
        self.rank, self.size = self._horovod.rank(), self._horovod.size()
        self.local_rank, self.local_size = self._horovod.local_rank(), self._horovod.local_size()

    def all_reduce(self, tensor: Any) -> Any:
        return self._horovod.allreduce(tensor, op=self._horovod.Sum)

    def all_gather(self, tensor: Any) -> Any:
        return self._horovod.allgather(tensor)

    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        return self._horovod.broadcast(tensor, root_rank=root)

    def shutdown(self) -> None:
        """Leaves the job; ranks still in a collective get an error."""
        self._horovod.shutdown()


def place_on_device(local_rank: int, local_size: int) -> None:
    """Gives each rank of a host one GPU of its own, or its share of the host's cores when there is no GPU.

    Raises:
        UserError: more ranks than GPUs on this host.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        _share_cores(local_size)
        return
    if local_size > len(gpus):
        raise UserError(
            f"{local_size} ranks on a host with {len(gpus)} GPUs, expected one GPU for each rank:"
            f" start at most {len(gpus)} ranks here, or hide the GPUs with CUDA_VISIBLE_DEVICES=-1 to train on the CPU"
        )
    tf.config.set_visible_devices(gpus[local_rank], "GPU")
    tf.config.experimental.set_memory_growth(gpus[local_rank], True)


def transports() -> list[str]:
    """What the installed Horovod can talk over: some of ``gloo``, ``mpi`` and ``nccl``."""
    import horovod.tensorflow as horovod

    built = {"gloo": horovod.gloo_built, "mpi": horovod.mpi_built, "nccl": horovod.nccl_built}
    return [name for name, is_built in built.items() if is_built()]


def describe() -> tuple[str, list[str]]:
    """The installed Horovod's version and transports; raises whatever importing it raises."""
    import horovod

    return horovod.__version__, transports()


def _share_cores(local_size: int) -> None:
    """Ranks that each start a thread per core fight over them; a thread count that the user set stays."""
    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    cores = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // local_size))


def import_horovod(launcher: str, size: int) -> Any:
    """Horovod's TensorFlow module, or a ``UserError`` that says what it lacks."""
    try:
        import horovod.tensorflow as horovod
    except Exception as error:  # a missing package, or a library built against another TensorFlow
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{launcher} started {size} ranks but this environment has no working Horovod ({first});"
            " build it with `tfdl install-horovod`, or train on one rank with plain `tfdl train`"
        ) from error
    return horovod
