"""The order of a list of runs."""

import pytest

from tests.reporting.made_run import finished, make_run
from tfdl.errors import UserError
from tfdl.reporting import list_runs, sort_runs


@pytest.fixture
def runs(tmp_path):
    """Their order by name differs from that by each of their values."""
    finished(tmp_path / "a", test={"accuracy": 0.5, "loss": 3.0}, wall_seconds=30, world_size=1)
    finished(tmp_path / "b", test={"accuracy": 0.9, "loss": 1.0}, wall_seconds=10.5, world_size=4)
    finished(tmp_path / "c", test={"accuracy": 0.7, "loss": None}, wall_seconds=20, world_size=2)
    make_run(tmp_path / "d", status={"code": 1, "reason": "x"})
    return list_runs(tmp_path)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("run", "abcd"),
        ("-run", "dcba"),
        ("test.accuracy", "acbd"),
        ("-test.accuracy", "bcad"),
        ("test", "acbd"),
        ("-test", "bcad"),
        ("wall_seconds", "bcad"),
        ("time", "bcad"),
        ("-time", "acbd"),
        ("ranks", "acbd"),
    ],
)
def test_the_order(runs, order, expected):
    """The failed run has no value and comes last in both directions."""
    assert "".join(run.run for run in sort_runs(runs, order)) == expected


@pytest.mark.parametrize(("order", "expected"), [("test.loss", "ba"), ("-test.loss", "ab")])
def test_a_metric_that_was_nan_comes_last(runs, order, expected):
    names = "".join(run.run for run in sort_runs(runs, order))
    assert names[:2] == expected
    assert set(names[2:]) == set("cd")


def test_runs_of_one_value_keep_their_order(runs):
    by_name = sort_runs(runs, "run")
    assert [run.run for run in sort_runs(by_name, "-epochs")] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("order", ["test.acuracy", "-acuracy", "validation.", "path.x", ""])
def test_a_name_that_no_run_has(runs, order):
    with pytest.raises(UserError, match=rf"--sort '{order}', expected a column such as run, .*test\.\w+") as raised:
        sort_runs(runs, order)
    assert ("Did you mean 'test.accuracy'?" in str(raised.value)) == ("acuracy" in order)


def test_no_runs_are_sorted_by_any_metric():
    assert sort_runs([], "test.accuracy") == []
