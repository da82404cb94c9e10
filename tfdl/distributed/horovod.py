"""The World of several ranks, over Horovod. The only module that calls Horovod's collectives."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfdl.distributed.collective_counts import CollectiveCounts, collective_counts
from tfdl.distributed.collective_names import next_collective_name
from tfdl.distributed.connected_world import ConnectedWorld
from tfdl.distributed.device_placement import place_on_device
from tfdl.distributed.gloo_sums import is_faster_gathered, sum_16_bit, sum_gathered
from tfdl.distributed.held_signals import HeldSignals
from tfdl.distributed.launchers import is_elastic_launch
from tfdl.distributed.srun import Rendezvous, is_for_mpi
from tfdl.distributed.world import World
from tfdl.errors import RunError, UserError


class HorovodWorld(ConnectedWorld):
    """Ranks that Horovod connects: with NCCL between GPUs, with Gloo or MPI between CPUs.

    Args:
        launcher: the name of the program that started the ranks.
        size: the number of ranks that it started. Horovod must see the same number.
        subsets: groups of ranks that get their own collectives (Horovod's process sets); see ``subset``.
        signals: that are held until the ranks are connected.

    Raises:
        UserError: Horovod is missing or was built for another TensorFlow; it sees another number of ranks than the
            launcher started; a subset contains a rank that does not exist; or a host has more ranks than GPUs.
        RunError: a rank that srun should have started did not appear in time.
        StoppedBetweenStepsError: a signal asked a rank that srun started to stop.
    """

    def __init__(
        self,
        launcher: str,
        size: int,
        subsets: Sequence[Sequence[int]] = (),
        signals: HeldSignals | None = None,
    ):
        _set_environment_defaults()  # Horovod reads them when it is initialized
        self._horovod = import_horovod(launcher, size)
        self._process_set = self._horovod.global_process_set
        self._process_sets = self._make_process_sets(subsets, size)
        rendezvous = None
        if launcher == "srun" and not is_for_mpi(transports()):
            rendezvous = Rendezvous(size, signals or HeldSignals())
        self._horovod.init(process_sets=list(self._process_sets.values()))
        if self._horovod.size() != size:
            raise UserError(
                f"{launcher} started {size} ranks but Horovod sees {self._horovod.size()}"
                f" (this Horovod is built with {', '.join(transports()) or 'no transport'}): start the job with"
                " horovodrun, or build Horovod for mpirun with `tfdl install-horovod --mpi`"
            )
        self.read_ranks()
        try:
            place_on_device(self.local_rank, self.local_size)
        except RuntimeError as error:
            raise UserError(
                f"TensorFlow is already in use ({error}); call tfdl.distributed.init() before creating any tensor"
            ) from error
        if rendezvous is not None:
            self.barrier()  # all ranks have connected, so the store is no longer needed
            rendezvous.close()

    def read_ranks(self) -> None:
        """Takes ranks and sizes from Horovod."""
        self.rank = self._horovod.rank()
        self.size = self._horovod.size()
        self.local_rank = self._horovod.local_rank()
        self.local_size = self._horovod.local_size()
        self.cross_rank = self._horovod.cross_rank()
        self.cross_size = self._horovod.cross_size()

    def meet(self, doing: str) -> None:
        # This collective has the name of a step's first one, and a shape and dtype that no step sends. If another rank
        # is in a step, Horovod finds the mismatch and fails both collectives.
        try:
            _meet(self, self.size, tf.zeros([1, 1, 1], tf.int8))
        except tf.errors.FailedPreconditionError as error:
            raise RunError(
                f"rank {self.rank} {doing}, but another rank is still training: every rank needs the same number of"
                " steps, and callbacks that stop training must decide by the same values on all ranks"
            ) from error

    def subset(self, ranks: Sequence[int]) -> World:
        if tuple(ranks) == tuple(range(self.size)):
            return self
        process_set = self._process_sets.get(tuple(sorted(ranks)))
        if process_set is None or self.rank not in ranks:
            subsets = ", ".join(str(list(subset)) for subset in self._process_sets) or "none"
            raise UserError(
                f"rank {self.rank} requested the subset {list(ranks)}, expected a subset that contains this rank and"
                f" was passed to tfdl.distributed.init(subsets=...) on all ranks (passed: {subsets})"
            )
        return HorovodSubset(self, process_set)

    def shutdown(self) -> None:
        """Leaves the job. Ranks that are still in a collective get an error."""
        self._horovod.shutdown()

    @property
    def _uses_gloo(self) -> bool:
        """Whether tensors are sent by Gloo: between CPUs, without MPI."""
        return not self._horovod.mpi_enabled() and not tf.config.get_visible_devices("GPU")

    def _reduce(self, tensor: Any, op: str) -> Any:
        if op in ("sum", "average"):
            return self._sum(tensor, self.size if op == "average" else 1)
        horovod_op = {"min": self._horovod.Min, "max": self._horovod.Max, "product": self._horovod.Product}[op]
        return self._call(self._horovod.allreduce, tensor, op=horovod_op)

    def _sum(self, tensor: Any, divisor: int) -> Any:
        """Adds up a tensor over the ranks on the fastest path for its size and dtype, and divides the sum."""
        is_gloo = self._uses_gloo
        if is_gloo and is_faster_gathered(tensor, self.size):
            return sum_gathered(tensor, self.size, self._gather, divisor)
        if tensor.dtype == tf.bfloat16 or (tensor.dtype == tf.float16 and is_gloo):
            return sum_16_bit(tensor, self.size, self._exchange_equally, self._gather, divisor)
        if tensor.dtype == tf.float16 and divisor > 1:
            # Divided first, since the sum might be too large for float16.
            return self._call(self._horovod.allreduce, tensor / divisor, op=self._horovod.Sum)
        total = self._call(self._horovod.allreduce, tensor, op=self._horovod.Sum)
        return total / divisor if divisor > 1 else total

    def _gather(self, tensor: Any) -> Any:
        return self._call(self._horovod.allgather, tensor)

    def _send_from(self, tensor: Any, root: int) -> Any:
        # Horovod expects the rank in the whole job.
        return self._call(self._horovod.broadcast, tensor, root_rank=self._process_set.ranks[root])

    def _exchange(self, tensor: Any, splits: Any) -> tuple[Any, Any]:
        received, received_splits = self._call(self._horovod.alltoall, tensor, splits=splits)
        return received, received_splits

    def _exchange_equally(self, tensor: Any) -> Any:
        return self._call(self._horovod.alltoall, tensor)

    def _call(self, collective: Callable[..., Any], tensor: Any, **options: Any) -> Any:
        """Calls one of Horovod's collectives, with the process set and, in a graph, a name."""
        return self._count(lambda value: collective(value, **options, **self._options()), tensor)

    def _count(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        """Calls a collective and counts it, so that the watchdog finds the rank that is behind the others."""
        return collective_counts().count(collective, tensor)

    def _options(self) -> dict[str, Any]:
        """Horovod's options for a collective: its process set and, in a graph, its name."""
        if tf.executing_eagerly():
            return {"process_set": self._process_set}  # eager collectives run one by one and need no name
        return {"process_set": self._process_set, "name": next_collective_name(), "ignore_name_scope": True}

    def _make_process_sets(self, subsets: Sequence[Sequence[int]], size: int) -> dict[tuple[int, ...], Any]:
        """A process set for each different subset, by its sorted ranks. The set of all ranks exists already."""
        different = {tuple(sorted(ranks)) for ranks in subsets}
        different.discard(tuple(range(size)))
        for ranks in different:
            if not ranks or len(set(ranks)) < len(ranks) or min(ranks) < 0 or max(ranks) >= size:
                raise UserError(f"subset {list(ranks)}, expected different ranks from 0 to {size - 1}")
        return {ranks: self._horovod.ProcessSet(list(ranks)) for ranks in sorted(different)}


class HorovodSubset(HorovodWorld):
    """Some ranks of a job, numbered from 0.

    Args:
        world: all ranks of the job.
        process_set: Horovod's process set, which contains this rank.
    """

    def __init__(self, world: HorovodWorld, process_set: Any):
        self._horovod = world._horovod
        self._process_set = process_set
        self._process_sets = {}
        self._unwatched_counts = CollectiveCounts()
        self.rank = process_set.rank()
        self.size = process_set.size()
        self.local_rank = world.local_rank
        self.local_size = world.local_size
        self.cross_rank = world.cross_rank
        self.cross_size = world.cross_size

    def _count(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        # The watchdog does not see these counts: ranks outside of the subset do not take part, and are not late.
        return self._unwatched_counts.count(collective, tensor)


@tf.function(autograph=False)
def _meet(world: World, size: int, tensor: Any) -> Any:  # noqa: ARG001
    """A graph with one collective. The tensor is an argument, because TensorFlow would fold a constant.

    The size is an argument because the ranks may change, and another number of them needs another graph.
    """
    return world.all_reduce(tensor)


def _set_environment_defaults() -> None:
    """Sets Horovod's and Open MPI's variables, except those that the user has set."""
    # Horovod joins tensors that happen to be ready at the same time, so sums would depend on timing. tfdl fills large
    # buffers itself, in a fixed order, so that runs are bit-identical.
    os.environ.setdefault("HOROVOD_FUSION_THRESHOLD", "0")
    # Horovod looks for work this often, in milliseconds. A small sum, as for batch statistics, waits for the next look:
    # with 0.2 instead of Horovod's default of 1, a step with four of them took 0.87 of the time
    # (benchmarks/scaling.py). Not set with autotune, which does not change a value that is set. Not set in elastic jobs
    # either: if the look for work notices a dead rank before a collective does, Horovod crashes, and frequent looks
    # notice it first more often.
    is_autotuned = os.environ.get("HOROVOD_AUTOTUNE") == "1"
    if not is_autotuned and not is_elastic_launch():
        os.environ.setdefault("HOROVOD_CYCLE_TIME", "0.2")
    # A rank that waits in Open MPI keeps its core busy, and the computation slow, unless it yields.
    os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")


def import_horovod(launcher: str, size: int) -> Any:
    """Imports Horovod's TensorFlow module.

    Args:
        launcher: the name of the program that started the ranks, for the error message.
        size: the number of ranks, for the error message.

    Raises:
        UserError: Horovod cannot be imported.
    """
    try:
        import horovod.tensorflow as horovod
    except Exception as error:  # the package is missing, or its library was built for another TensorFlow
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{launcher} started {size} ranks but this environment has no working Horovod ({lines[0]});"
            " build it with `tfdl install-horovod`, or train on one rank with plain `tfdl train`"
        ) from error
    return horovod


def transports() -> list[str]:
    """Returns the transports of the installed Horovod: some of ``gloo``, ``mpi`` and ``nccl``."""
    import horovod.tensorflow as horovod

    built = {"gloo": horovod.gloo_built, "mpi": horovod.mpi_built, "nccl": horovod.nccl_built}
    return [name for name, is_built in built.items() if is_built()]


def transport_in_use() -> str:
    """Describes the transport between the ranks of this job. Horovod must be initialized."""
    import horovod.tensorflow as horovod

    cpu_transport = "MPI" if horovod.mpi_enabled() else "Gloo"
    if tf.config.get_visible_devices("GPU") and horovod.nccl_built():
        return f"NCCL between GPUs, {cpu_transport} for coordination"
    return cpu_transport


def describe() -> tuple[str, list[str]]:
    """Returns the version and the transports of the installed Horovod. Raises any error of importing it."""
    import horovod

    return horovod.__version__, transports()
