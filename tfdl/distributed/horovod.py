"""The World of several ranks, over Horovod. The only module that calls Horovod's collectives."""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from tfdl.distributed.collective_counts import collective_counts
from tfdl.distributed.srun import Rendezvous, is_for_mpi
from tfdl.distributed.world import World
from tfdl.errors import RunError, UserError

# Gathered by more than two ranks over Gloo: what all of them hold together at most. Below it the size of a message
# matters little.
_GATHERED_BYTES = 2**16


class HorovodWorld(World):
    """Ranks joined by Horovod: NCCL between GPUs, Gloo or MPI between CPUs.

    Args:
        launcher: the name of what started the ranks.
        size: the number of ranks that it started; Horovod must say the same.
        subsets: ranks that shall have collectives of their own (Horovod's process sets); ``subset`` opens one.

    Raises:
        UserError: Horovod is missing or was built for another TensorFlow, it sees another number of ranks than the
            launcher started, a subset holds a rank that is not there, or a host has more ranks than GPUs.
    """

    def __init__(self, launcher: str, size: int, subsets: Sequence[Sequence[int]] = ()):
        # Horovod joins tensors that happen to be ready together, which makes sums depend on timing. tfdl fills large
        # buffers itself, in a fixed order, so that a run repeats bit for bit.
        os.environ.setdefault("HOROVOD_FUSION_THRESHOLD", "0")
        # Horovod looks for work this often, in milliseconds. A small sum, as of batch statistics, waits for the next
        # look: with 0.2 in place of Horovod's own 1 a step that has four took 0.87 of the time (benchmarks/scaling.py).
        # Not where Horovod tunes it, and leaves alone what is set; nor where ranks may die and the others go on: when
        # the look for work finds a rank gone before a collective does, Horovod crashes, and the more often it looks
        # the more often it is the first.
        if "1" not in (os.environ.get("HOROVOD_AUTOTUNE"), os.environ.get("HOROVOD_ELASTIC")):
            os.environ.setdefault("HOROVOD_CYCLE_TIME", "0.2")
        # A rank that waits in Open MPI spins on the core that computes, unless it gives way.
        os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
        self._horovod = import_horovod(launcher, size)
        self._process_set = self._horovod.global_process_set
        self._process_sets = self._make_process_sets(subsets, size)
        rendezvous = Rendezvous(size) if launcher == "srun" and not is_for_mpi(transports()) else None
        self._horovod.init(process_sets=list(self._process_sets.values()))
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
        if rendezvous is not None:
            self.barrier()  # every rank has found the others
            rendezvous.close()

    def find_place(self) -> None:
        """Takes rank and size from Horovod."""
        self.rank, self.size = self._horovod.rank(), self._horovod.size()
        self.local_rank, self.local_size = self._horovod.local_rank(), self._horovod.local_size()

    def all_reduce(self, tensor: Any) -> Any:
        tensor = tf.convert_to_tensor(tensor)
        if self._is_quicker_gathered(tensor):
            return self._sum_of_gathered(tensor)
        if tensor.dtype == tf.bfloat16 or (tensor.dtype == tf.float16 and self._talks_gloo):
            return self._sum_of_halves(tensor)
        return self._counted(lambda mine: self._horovod.allreduce(mine, op=self._horovod.Sum, **self._call()), tensor)

    def all_gather(self, tensor: Any) -> Any:
        return self._counted(lambda mine: self._horovod.allgather(mine, **self._call()), tensor)

    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        root = self._process_set.ranks[root]  # Horovod numbers them over the whole job
        return self._counted(lambda mine: self._horovod.broadcast(mine, root_rank=root, **self._call()), tensor)

    def meet(self, doing: str) -> None:
        """By the name of a step's first collective, with what no step sends: Horovod fails both where they meet."""
        try:
            _meeting(self, tf.zeros([1, 1, 1], tf.int8))
        except tf.errors.FailedPreconditionError as error:
            raise RunError(
                f"rank {self.rank} {doing}, and another rank goes on training: every rank needs the same number of"
                " steps, and callbacks that stop training must decide from the same numbers on all ranks"
            ) from error

    def subset(self, ranks: Sequence[int]) -> World:
        if tuple(ranks) == tuple(range(self.size)):
            return self
        process_set = self._process_sets.get(tuple(sorted(ranks)))
        if process_set is None or self.rank not in ranks:
            known = ", ".join(str(list(found)) for found in self._process_sets) or "none"
            raise UserError(
                f"rank {self.rank} asks for the subset {list(ranks)}, expected one that holds it and that all ranks"
                f" named in tfdl.distributed.init(subsets=...) (there: {known})"
            )
        return _Subset(self, process_set)

    def shutdown(self) -> None:
        """Leaves the job; ranks still in a collective get an error."""
        self._horovod.shutdown()

    @property
    def _talks_gloo(self) -> bool:
        """Between CPUs, without MPI."""
        return not self._horovod.mpi_enabled() and not tf.config.get_visible_devices("GPU")

    def _is_quicker_gathered(self, tensor: Any) -> bool:
        """Gloo's sum goes around the ring twice, in four pieces or more, and each piece waits to be scheduled.

        Gathering all ranks' tensors goes around once, in one piece; between two ranks it sends as many bytes, between
        more it sends more.
        """
        if not self._talks_gloo:
            return False
        if self.size == 2:
            return True
        num_elements = tensor.shape.num_elements()
        return num_elements is not None and num_elements * tensor.dtype.size * self.size <= _GATHERED_BYTES

    def _sum_of_gathered(self, tensor: Any) -> Any:
        """Every rank adds up all tensors in the order of the ranks, so all get the same bits."""
        is_half = tensor.dtype in (tf.float16, tf.bfloat16)
        sent = tf.bitcast(tensor, tf.uint16) if is_half else tensor
        everyone = tf.unstack(self.all_gather(sent[tf.newaxis]), num=self.size)
        if is_half:
            everyone = [tf.cast(tf.bitcast(found, tensor.dtype), tf.float32) for found in everyone]
        return tf.ensure_shape(tf.cast(tf.add_n(everyone), tensor.dtype), tensor.shape)

    def _sum_of_halves(self, tensor: Any) -> Any:
        """A sum of 16 bits a number. Horovod carries no bfloat16, and Gloo adds float16 up one by one in software.

        Their bits travel, as many as in a ring: each rank gets one part of all ranks' tensors, adds it up in float32,
        and gives the rounded sum to all.
        """
        dtype = tensor.dtype
        size = tf.size(tensor)
        part = -(-size // self.size)  # rounded up
        padded = tf.pad(tf.reshape(tensor, [-1]), [[0, part * self.size - size]])
        sent = tf.bitcast(padded, tf.uint16)
        mine = self._counted(lambda mine: self._horovod.alltoall(mine, **self._call()), sent)
        parts = tf.cast(tf.bitcast(tf.reshape(mine, [self.size, part]), dtype), tf.float32)
        total = tf.cast(tf.reduce_sum(parts, axis=0), dtype)
        whole = tf.bitcast(self.all_gather(tf.bitcast(total, tf.uint16)), dtype)
        return tf.ensure_shape(tf.reshape(whole[:size], tf.shape(tensor)), tensor.shape)

    def _counted(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        """The watchdog looks for the rank that has come to fewer collectives than the others."""
        return collective_counts().count(collective, tensor)

    def _call(self) -> dict[str, Any]:
        """Name and process set of a collective that is being traced; collectives in eager code run one by one."""
        options = {"process_set": self._process_set}
        return options if tf.executing_eagerly() else {**options, "name": _next_name(), "ignore_name_scope": True}

    def _make_process_sets(self, subsets: Sequence[Sequence[int]], size: int) -> dict[tuple[int, ...], Any]:
        found = {tuple(sorted(ranks)) for ranks in subsets} - {tuple(range(size))}
        for ranks in found:
            if not ranks or len(set(ranks)) < len(ranks) or min(ranks) < 0 or max(ranks) >= size:
                raise UserError(f"subset {list(ranks)}, expected different ranks from 0 to {size - 1}")
        return {ranks: self._horovod.ProcessSet(list(ranks)) for ranks in sorted(found)}


class _Subset(HorovodWorld):
    """Some ranks of a job, numbered from 0 among themselves."""

    def __init__(self, whole: HorovodWorld, process_set: Any):
        self._horovod, self._process_set, self._process_sets = whole._horovod, process_set, {}
        self.rank, self.size = process_set.rank(), process_set.size()
        self.local_rank, self.local_size = whole.local_rank, whole.local_size

    def _counted(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        return collective(tensor)  # the ranks outside take no part, and are not late


# How many collectives an outermost graph holds so far.
_traced: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()


def _next_name() -> str:
    """``HorovodAllreduce_0``, ``HorovodAllreduce_1`` and so on, in the order in which a step is traced.

    Ranks meet by name. Names that Horovod derives from tensors hold the names of layers and optimizers, which Keras
    counts: a rank that had built one more model would wait for ever. All kinds of collectives share the names, so that
    ``meet`` knows a step's first; Horovod's elastic mode looks for ``HorovodAllreduce`` in a failed operation's name.
    """
    graph = tf.compat.v1.get_default_graph()
    while getattr(graph, "outer_graph", None) is not None and graph.outer_graph.building_function:
        graph = graph.outer_graph
    return f"HorovodAllreduce_{next(_traced.setdefault(graph, count()))}"


@tf.function
def _meeting(world: World, odd: Any) -> Any:
    """Its only collective has the name of a step's first. (That of a constant would be folded away.)"""
    return world.all_reduce(odd)


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


def transport_in_use() -> str:
    """What the ranks of this job talk over, in words; Horovod must be initialized."""
    import horovod.tensorflow as horovod

    between_hosts = "MPI" if horovod.mpi_enabled() else "Gloo"
    if tf.config.get_visible_devices("GPU") and horovod.nccl_built():
        return f"NCCL between GPUs; {between_hosts} to agree on what is sent"
    return between_hosts


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
