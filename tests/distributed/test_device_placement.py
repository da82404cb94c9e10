"""Which GPU, or which cores, each rank of a host gets; with lists of devices that stand in for real ones."""

import os
from typing import Any

import pytest
import tensorflow as tf

from tfdl.distributed.horovod import place_on_device
from tfdl.errors import UserError


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``host(gpus=4)``: a host with so many GPUs; returns what TensorFlow was told."""
    told: dict[str, Any] = {}

    def make(gpus: int = 0, cores: int = 8) -> dict[str, Any]:
        devices = [f"GPU:{number}" for number in range(gpus)]
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices if kind == "GPU" else ["CPU:0"])
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda device, kind: told.update(visible=(device, kind)))
        monkeypatch.setattr(
            tf.config.experimental, "set_memory_growth", lambda device, on: told.update(growth=(device, on))
        )
        monkeypatch.setattr(
            tf.config.threading, "set_intra_op_parallelism_threads", lambda threads: told.update(threads=threads)
        )
        return told

    return make


@pytest.mark.parametrize(("local_rank", "local_size", "gpus"), [(0, 1, 1), (0, 4, 4), (3, 4, 4), (1, 2, 8)])
def test_each_rank_sees_one_gpu_of_its_own_that_grows(host: Any, local_rank: int, local_size: int, gpus: int) -> None:
    told = host(gpus)
    place_on_device(local_rank, local_size)
    assert told == {"visible": (f"GPU:{local_rank}", "GPU"), "growth": (f"GPU:{local_rank}", True)}


def test_more_ranks_than_gpus_are_refused_on_every_rank(host: Any) -> None:
    """On the ranks that would find a GPU too, so that nobody waits for those that do not."""
    told = host(gpus=2)
    for local_rank in range(3):
        with pytest.raises(UserError, match="3 ranks on a host with 2 GPUs, expected one GPU for each rank: start at"):
            place_on_device(local_rank, 3)
    assert told == {}


@pytest.mark.parametrize(("local_size", "threads"), [(1, 8), (2, 4), (3, 2), (16, 1)])
def test_without_a_gpu_ranks_share_the_cores(host: Any, local_size: int, threads: int) -> None:
    told = host(gpus=0)
    place_on_device(0, local_size)
    assert told == {"threads": threads}


def test_a_number_of_threads_that_the_user_set_stays(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = host(gpus=0)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    place_on_device(0, 2)
    assert told == {}
