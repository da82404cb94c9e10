"""A user's callbacks, layers and data that differ on the ranks end the run on all ranks, with the cause."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.distributed.launching import launch, program
from tfdl.data.objects.description import describe_splits
from tfdl.data.objects.splits import split_sources
from tfdl.distributed.equal_data import check_equal_data
from tfdl.errors import UserError


@pytest.mark.distributed
@pytest.mark.slow
def test_the_cause_is_named_on_every_rank(tmp_path: Path) -> None:
    job = launch(2, *program("differing_ranks"), str(tmp_path))
    assert job.code == 0, job.output
    first, second = json.loads(job.lines_of(0)[-1])
    assert first.pop("notes kept") == "[0, 1]"
    assert second.pop("notes kept") == "None"
    assert first == second
    assert first["restored on rank 0"].startswith(
        "RunError: when training ended, a callback changed the weights of some ranks only: rank 1 differs from rank 0"
    )
    assert first["running mean"].startswith("RunError: at step 1, rank 1 differs from rank 0 in sequential")
    assert "centred/running: " in first["running mean"]
    assert "average the change over the ranks in the layer's call" in first["running mean"]
    assert first["shards"].startswith(
        "UserError: the split 'train' of data= has other samples on rank 1 than on rank 0"
    )
    assert not (tmp_path / "shards").exists()
    assert first["notes"] == first["notes resumed"] == ""


X = np.arange(60, dtype=np.float32).reshape(20, 3)
Y = np.arange(20)


class Batches(keras.utils.PyDataset):
    """Batches of ten; with ``noise`` they change at each reading."""

    def __init__(self, factor: float = 1.0, noise: bool = False):
        super().__init__()
        self.factor = factor
        self.random = np.random.default_rng() if noise else None

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(10 * number, 10 * number + 10)
        noise = 0.0 if self.random is None else self.random.normal(size=(10, 3))
        return (self.factor * X[rows] + noise).astype(np.float32), Y[rows]


def compare(world: Any, *train_of_ranks: Any) -> None:
    """Opens each rank's training data, and compares."""

    def on_rank(rank: int) -> None:
        data = {"train": train_of_ranks[rank], "validation": (X, Y)}
        if isinstance(train_of_ranks[rank], tuple) and train_of_ranks[rank][0].dtype == np.float64:
            data["validation"] = (X.astype(np.float64), Y)
        sources = split_sources(data, ("x", "y"), 100)
        check_equal_data(lambda: describe_splits(sources, data), world)

    world.run(on_rank)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            (X[:19], Y[:19]),
            "the split 'train' of data= has 20 samples on rank 0 and 19 on rank 1; expected the same data",
        ),
        ((X.astype(np.float64), Y), r"has the features x float32 \(3,\), y int64 \(\) on rank 0 and x float64"),
        ((X[::-1], Y[::-1]), "has other samples on rank 1 than on rank 0"),
    ],
)
def test_ranks_with_different_data_end(ranks: Any, second: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(ranks(2), (X, Y), second)


def test_data_that_a_class_makes_is_compared_unless_it_changes_at_each_reading(ranks: Any) -> None:
    compare(ranks(2), Batches(), Batches())
    compare(ranks(2), Batches(noise=True), Batches(noise=True))
    with pytest.raises(UserError, match="has other samples on rank 1 than on rank 0"):
        compare(ranks(2), Batches(), Batches(factor=2.0))


def test_equal_arrays_and_texts_pass(ranks: Any) -> None:
    compare(ranks(2), (X, Y), (X.copy(), Y.copy()))
    texts = [f"text {number}" for number in range(20)]
    data = {"train": (texts, Y), "validation": (texts, Y)}
    sources = split_sources(data, ("text", "label"), 100)
    world = ranks(2)
    world.run(lambda _: check_equal_data(lambda: describe_splits(sources, data), world))


class BrokenOnRank1(Batches):
    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if self.factor == 2.0 and number == 1:
            raise FileNotFoundError("images/cat 7.png")
        return super().__getitem__(number)


def test_an_error_while_reading_is_raised_as_itself_on_every_rank(ranks: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"cat 7\.png"):
        compare(ranks(2), BrokenOnRank1(), BrokenOnRank1(factor=2.0))
