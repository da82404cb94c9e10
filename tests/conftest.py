"""Fixtures that several test folders share: quiet TensorFlow, prepared data, one small trained run, and ranks."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when TensorFlow is first imported

import keras
import pytest
import tensorflow as tf

from tfdl.config import TrainConfig, compose
from tfdl.distributed import SingleWorld, World
from tfdl.distributed.world import set_current_world

TESTS = Path(__file__).parent
# The files that take longest. They start first, so that no process waits at the end for the last file of the other.
LONG_FILES = (
    "notebooks/test_notebooks.py",
    "training/test_text_runs.py",
    "training/test_own_keras_model.py",
    "distributed/test_np_invariance.py",
    "distributed/test_watchdog.py",
    "distributed/test_training.py",
    "distributed/test_language_modeling.py",
    "distributed/test_hosts.py",
    "distributed/test_elastic.py",
    "distributed/test_text_tasks.py",
    "distributed/test_keras_examples.py",
    "distributed/test_failing_ranks.py",
    "distributed/test_srun.py",
    "horovod_launch/test_jobs.py",
    "plugins/test_toy_parts.py",
    "training/test_language_runs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, whole runs after them, several ranks last: a first failure shows early."""

    def cost(item: pytest.Item) -> int:
        return 2 * bool(item.get_closest_marker("distributed")) + bool(item.get_closest_marker("slow"))

    def place_of_file(item: pytest.Item) -> int:
        name = item.path.relative_to(TESTS).as_posix()
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

    items.sort(key=lambda item: (cost(item), place_of_file(item)))


@pytest.fixture(autouse=True)
def random_seed() -> None:
    """Every test starts from the same random state, whichever tests ran before it.

    TensorFlow's global seed is left alone: nothing draws from it, and setting it makes TensorFlow forget its kernels.
    """
    with patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of prepared data for the whole session, for this process and all that it starts."""
    folder = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """``real_data(name)``: a public data set's original files, kept beside the checkout; tests skip without them."""

    def find(name: str) -> Path:
        folder = Path(__file__).parents[2] / "shared" / "data" / name
        if not folder.is_dir():
            pytest.skip(f"the files of {name} are not in {folder}")
        return folder

    return find


@pytest.fixture(scope="session")
def digits(data_dir: Path) -> Any:
    """The prepared digits as they are, 8x8."""
    from tfdl.config import DatasetConfig
    from tfdl.data import open_images

    return open_images(DatasetConfig("digits", str(data_dir)))


TINY = {
    "model.filters": [4],
    "model.units": 8,
    "model.dropout": 0.25,
    "dataset.image_size": [8, 8],
    "batch_size": 128,  # 12 steps an epoch, the last one short
    "steps_per_execution": 5,
    "epochs": 2,
}


@pytest.fixture(scope="session")
def tiny() -> Callable[..., TrainConfig]:
    """A configuration that trains in a second or two; keys with dots, ``steps`` takes the place of ``epochs``."""

    def make(changes: dict[str, Any] | None = None, **plain: Any) -> TrainConfig:
        lengths = {"epochs": None} if "steps" in plain else {}
        return compose(TINY, changes or {}, lengths, plain)

    return make


TINY_LANGUAGE = {
    "task": "language-modeling",
    # Nine texts, eleven thousand characters.
    "dataset": {"name": "python_topics", "train_split": "train[1:10]", "validation_split": "validation[:1]",
                "test_split": "test[:3]", "sequence_length": 16},
    "optimizer": {"name": "adam", "learning_rate": 0.01, "schedule": "constant"},
    "batch_size": 32,  # 22 steps an epoch, the last one short
    "steps_per_execution": 5,
    "xla": "off",
    "epochs": 2,
}  # fmt: skip
TINY_LANGUAGE_MODELS = {
    "rnn": {"model.name": "rnn", "model.units": 16, "model.num_layers": 2, "model.dropout": 0.1},
    "transformer": {"model.name": "transformer", "model.hidden_dim": 16, "model.num_heads": 2, "model.num_layers": 1,
                    "model.dropout": 0.1},
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_language() -> Callable[..., TrainConfig]:
    """A language model that trains in seconds: ``tiny_language("rnn", changes, **plain)``; as ``tiny`` otherwise."""

    def make(model: str, changes: dict[str, Any] | None = None, **plain: Any) -> TrainConfig:
        lengths = {"epochs": None} if "steps" in plain else {}
        return compose(TINY_LANGUAGE, TINY_LANGUAGE_MODELS[model], changes or {}, lengths, plain)

    return make


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, tiny: Any, data_dir: Path) -> Any:  # noqa: ARG001
    """A finished run of two epochs. To be read only: copy it before changing it."""
    import tfdl

    return tfdl.train(tiny(), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def tfdl_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``tfdl ARGUMENTS`` in a process of its own, in an empty working directory."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def run(*arguments: Any, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tfdl", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, **(env or {})},
            check=False,
            **options,
        )

    return run


class ThreadWorld(World):
    """``size`` ranks as threads of this process, in eager mode. Each collective waits for every rank, then computes."""

    local_rank = 0

    def __init__(self, size: int):
        self.size = self.local_size = size
        self._barrier = threading.Barrier(size)
        self._tensors: list[Any] = [None] * size
        self._mine = threading.local()

    @property
    def rank(self) -> int:
        return self._mine.rank

    def all_reduce(self, tensor: Any) -> Any:
        return tf.add_n(self._exchange(tensor))

    def all_gather(self, tensor: Any) -> Any:
        return tf.concat(self._exchange(tensor), 0)

    def broadcast(self, tensor: Any, root: int = 0) -> Any:
        return self._exchange(tensor)[root]

    def run(self, function: Callable[[int], Any]) -> list[Any]:
        """``function(rank)`` on every rank at once; the first rank's own error, if any."""

        def on_rank(rank: int) -> Any:
            self._mine.rank = rank
            try:
                return function(rank)
            except threading.BrokenBarrierError:
                return None  # another rank failed, and says why
            except BaseException:
                self._barrier.abort()
                raise

        with ThreadPoolExecutor(self.size) as pool:
            return [done.result() for done in [pool.submit(on_rank, rank) for rank in range(self.size)]]

    def _exchange(self, tensor: Any) -> list[Any]:
        self._tensors[self.rank] = tf.convert_to_tensor(tensor)
        self._barrier.wait(60)
        everyone = list(self._tensors)
        self._barrier.wait(60)  # nobody writes the next tensors before all have read these
        return everyone


@pytest.fixture
def ranks() -> Iterator[Callable[[int], ThreadWorld]]:
    """``ranks(2)`` is a World of two ranks, which layers find as the current one until the test ends."""

    def make(size: int) -> ThreadWorld:
        world = ThreadWorld(size)
        set_current_world(world)
        return world

    yield make
    set_current_world(SingleWorld())
