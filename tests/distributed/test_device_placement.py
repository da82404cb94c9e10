"""Which GPU, or how many threads, each rank of a host gets. Fake lists of devices stand in for real ones."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from tfdl.distributed.device_placement import place_on_device
from tfdl.errors import UserError


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``host(gpus=4)`` fakes a host with 4 GPUs, and returns the settings that TensorFlow receives."""
    settings: dict[str, Any] = {}

    def record(name: str) -> Callable[..., None]:
        def setter(*arguments: Any) -> None:
            settings[name] = arguments

        return setter

    def make(gpus: int = 0, cores: int = 8) -> dict[str, Any]:
        devices = [f"GPU:{number}" for number in range(gpus)]
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices if kind == "GPU" else ["CPU:0"])
        monkeypatch.setattr(tf.config, "set_visible_devices", record("visible"))
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", record("growth"))
        monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", record("threads"))
        return settings

    return make


@pytest.mark.parametrize(("local_rank", "local_size", "gpus"), [(0, 1, 1), (0, 4, 4), (3, 4, 4), (1, 2, 8)])
def test_each_rank_sees_one_gpu_with_memory_growth(host: Any, local_rank: int, local_size: int, gpus: int) -> None:
    settings = host(gpus)
    place_on_device(local_rank, local_size)
    assert settings == {"visible": (f"GPU:{local_rank}", "GPU"), "growth": (f"GPU:{local_rank}", True)}


def test_more_ranks_than_gpus_are_refused_on_every_rank(host: Any) -> None:
    """Also on the ranks that could have a GPU. Otherwise they would wait for the others."""
    settings = host(gpus=2)
    for local_rank in range(3):
        with pytest.raises(UserError, match="3 ranks on a host with 2 GPUs, expected one GPU for each rank: start at"):
            place_on_device(local_rank, 3)
    assert settings == {}


@pytest.mark.parametrize(("local_size", "threads"), [(1, 8), (2, 4), (3, 2), (16, 1)])
def test_without_a_gpu_ranks_share_the_cores(host: Any, local_size: int, threads: int) -> None:
    settings = host(gpus=0)
    place_on_device(0, local_size)
    assert settings == {"threads": (threads,)}


def test_the_user_s_number_of_threads_is_kept(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = host(gpus=0)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    place_on_device(0, 2)
    assert settings == {}
