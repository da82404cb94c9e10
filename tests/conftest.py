"""Fixtures that several test folders share: prepared data, small configurations, one trained run, and ranks."""
# ruff: noqa: E402

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tfdl.cli.quiet import quick_start

# Half the time of a plain import, in every process that runs tests. It comes before all imports that need TensorFlow.
quick_start()

import keras
import pytest
import tensorflow as tf
from hypothesis import settings

from tests.thorough import is_thorough, lines_without_a_test
from tfdl.config import TrainConfig, compose
from tfdl.distributed import SingleWorld
from tfdl.distributed.connected_world import ConnectedWorld
from tfdl.distributed.world import set_current_world

# The same examples in every run, so that a suite that passed passes again; CONTRIBUTING.md says how to try others. No
# deadline, since other programs may use the machine.
settings.register_profile("same-examples", derandomize=True, deadline=None)
settings.register_profile("new-examples", deadline=None, print_blob=True)
settings.load_profile("same-examples")

TESTS = Path(__file__).parent
# The files that take longest. They start first, so that no process waits at the end for the last file of the other.
LONG_FILES = (
    "distributed/test_watchdog.py",
    "distributed/test_training.py",
    "distributed/test_np_invariance.py",
    "test_readme_tour.py",
    "distributed/test_failing_ranks.py",
    "distributed/test_hosts.py",
    "distributed/test_elastic.py",
    "distributed/test_elastic_scripts.py",
    "distributed/test_bad_input.py",
    "horovod_launch/test_jobs.py",
    "training/test_language_runs.py",
    "training/test_own_keras_model.py",
    "distributed/test_keras_faults.py",
    "distributed/test_keras_examples.py",
    "distributed/test_text_tasks.py",
    "plugins/test_toy_parts.py",
    "distributed/test_sync_proof.py",
    "distributed/test_collectives.py",
    "export/test_saved_model.py",
    "serving/test_page.py",
    "test_extending_docs.py",
    "training/test_text_runs.py",
)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the thorough tests, and sorts: fast tests first, slow ones after them, several ranks last.

    So most failures show early.
    """
    names = [item.nodeid.removeprefix(f"{TESTS.name}/") for item in items]
    for name, item in zip(names, items, strict=True):
        if is_thorough(name):
            item.add_marker("thorough")
    missing = lines_without_a_test(names)
    if missing and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        raise pytest.UsageError(f"tests/thorough.py names tests that are not there: {', '.join(missing)}")

    def cost(item: pytest.Item) -> tuple[bool, bool]:
        is_distributed = item.get_closest_marker("distributed") is not None
        is_slow = item.get_closest_marker("slow") is not None
        return is_distributed, is_slow

    def order_of_file(item: pytest.Item) -> int:
        name = item.path.relative_to(TESTS).as_posix()
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

    items.sort(key=lambda item: (cost(item), order_of_file(item)))


def pytest_collection_finish() -> None:
    """Lets the garbage collector look less often, and never at what is imported. It took a tenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


@pytest.fixture(scope="module", autouse=True)
def garbage() -> Iterator[None]:
    """After each file, what is garbage is freed, and what remains is never looked at again.

    What the tests leave behind grows to millions of objects, most of them TensorFlow's graphs, and looking through all
    of them takes more than a second. A server looks each time it lets go of a model.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def random_seed() -> None:
    """Every test starts from the same random state, whichever tests ran before it.

    TensorFlow's global seed is not set: nothing draws from it, and setting it makes TensorFlow discard its kernels.
    """
    with patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of prepared data for the whole session, used by all processes of tests and all that they start."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each of several processes has a folder in that of the session
    folder = folder / "tfds"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        yield folder


@pytest.fixture
def own_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten afterwards."""
    from tfdl import config

    for registry in (
        config.AUGMENTATIONS, config.DATASETS, config.EXPORT_FORMATS, config.MODELS, config.OPTIMIZERS,
        config.SAMPLERS, config.SCHEDULES, config.TASKS, config.TOKENIZERS,
    ):  # fmt: skip
        monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    known = dict(config.PRESETS)
    yield
    for name in config.PRESETS.keys() - known.keys():
        del config.PRESETS[name]


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
    """The prepared digits in their own size, 8x8."""
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
    """``tiny(changes, **fields)``: a configuration that trains in a second or two; ``steps`` replaces ``epochs``."""

    def make(changes: dict[str, Any] | None = None, **fields: Any) -> TrainConfig:
        lengths = {"epochs": None} if "steps" in fields else {}
        return compose(TINY, changes or {}, lengths, fields)

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
    """``tiny_language("rnn", changes, **fields)``: a language model that trains in seconds; otherwise as ``tiny``."""

    def make(model: str, changes: dict[str, Any] | None = None, **fields: Any) -> TrainConfig:
        lengths = {"epochs": None} if "steps" in fields else {}
        return compose(TINY_LANGUAGE, TINY_LANGUAGE_MODELS[model], changes or {}, lengths, fields)

    return make


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, tiny: Any, data_dir: Path) -> Any:  # noqa: ARG001
    """A finished run of two epochs. Tests must copy it before they change it."""
    import tfdl

    return tfdl.train(tiny(), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def tfdl_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``tfdl ARGUMENTS`` in a separate process, in an empty working directory."""
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


class ThreadWorld(ConnectedWorld):
    """``size`` ranks as threads of this process, in eager mode. Each collective waits for all ranks, then computes."""

    local_rank = 0
    cross_rank = 0
    cross_size = 1

    def __init__(self, size: int):
        self.size = self.local_size = size
        self._barrier = threading.Barrier(size)
        self._tensors: list[Any] = [None] * size
        self._thread = threading.local()  # has the rank of each thread

    @property
    def rank(self) -> int:
        return self._thread.rank

    def _reduce(self, tensor: Any, op: str) -> Any:
        tensors = tf.stack(self._tensors_of_all(tensor))
        wide = tf.cast(tensors, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensors
        reduce = {"sum": tf.reduce_sum, "average": tf.reduce_mean, "min": tf.reduce_min, "max": tf.reduce_max}
        return tf.cast(reduce.get(op, tf.reduce_prod)(wide, 0), tensor.dtype)

    def _gather(self, tensor: Any) -> Any:
        return tf.concat(self._tensors_of_all(tensor), 0)

    def _send_from(self, tensor: Any, root: int) -> Any:
        return self._tensors_of_all(tensor)[root]

    def _exchange(self, tensor: Any, splits: Any) -> tuple[Any, Any]:
        tensors = self._tensors_of_all(tensor)
        splits_by_rank = self._tensors_of_all(splits)
        received = [tf.split(theirs, rows)[self.rank] for theirs, rows in zip(tensors, splits_by_rank, strict=True)]
        return tf.concat(received, 0), tf.stack(splits_by_rank)[:, self.rank]

    def run(self, function: Callable[[int], Any]) -> list[Any]:
        """Calls ``function(rank)`` on all ranks at the same time.

        Returns:
            The results by rank. An error is that of the lowest rank that has an error of its own.
        """

        def on_rank(rank: int) -> Any:
            self._thread.rank = rank
            try:
                return function(rank)
            except threading.BrokenBarrierError:
                return None  # another rank failed, and raises the error
            except BaseException:
                self._barrier.abort()
                raise

        with ThreadPoolExecutor(self.size) as pool:
            futures = [pool.submit(on_rank, rank) for rank in range(self.size)]
            return [future.result() for future in futures]

    def _tensors_of_all(self, tensor: Any) -> list[Any]:
        self._tensors[self.rank] = tf.convert_to_tensor(tensor)
        self._barrier.wait(60)
        tensors_by_rank = list(self._tensors)
        self._barrier.wait(60)  # no rank may write its next tensor before all have read these
        return tensors_by_rank


@pytest.fixture
def ranks() -> Iterator[Callable[[int], ThreadWorld]]:
    """``ranks(2)`` returns a World of two ranks, which is the current one until the test ends."""

    def make(size: int) -> ThreadWorld:
        world = ThreadWorld(size)
        set_current_world(world)
        return world

    yield make
    set_current_world(SingleWorld())
