"""The soak programs of docs/reliability.md in a short form, each with its control.

``TFDL_SOAK`` is a factor for all numbers: ``TFDL_SOAK=10 make soak`` takes hours.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.distributed.launching import has_horovod
from tests.soak.reliability import damage, full_disk, goodput, kills, long_run, saves, stops
from tests.soak.reliability.cases import CASES

FACTOR = float(os.environ.get("TFDL_SOAK", "1"))
CNN = next(iter(CASES))
needs_horovod = pytest.mark.skipif(not has_horovod(), reason="no horovodrun")


def times(number: int) -> str:
    """A number of the short form, multiplied."""
    return str(max(1, round(FACTOR * number)))


def check_campaign(rows: list[dict[str, object]], lost: int) -> None:
    """Every run has resumed, to the bits of an uninterrupted one, and lost no more than some steps."""
    for row in rows:
        assert row["could not resume"] == 0, row
        assert row["of them with the same weights and metrics"] == row["runs"], row
        assert row["steps lost at most"] <= lost, row  # type: ignore[operator]


def test_kills() -> None:
    rows = kills.main(["--moments", times(12)])
    check_campaign(rows, lost=2 * 10)
    assert len(rows) == len(CASES)


@pytest.mark.distributed
@needs_horovod
def test_kills_of_two_ranks() -> None:
    check_campaign(kills.main(["--moments", times(4), "--ranks", "2", "--cases", CNN]), lost=2 * 10)


@pytest.mark.parametrize("program", ["forgetful", "stock"])
def test_what_stock_keras_and_a_forgotten_random_stream_do(program: str) -> None:
    """The controls: the comparison of bits can fail."""
    (row,) = kills.main(["--moments", times(4), "--program", program, "--cases", CNN])
    assert row["of them with the same weights and metrics"] < row["runs"] + row["could not resume"]


def test_saves() -> None:
    tables = saves.main(["--random-times", times(40), "--stock", times(5)])
    *kept, control = [*tables["times"], *tables["calls"]]
    for row in kept:
        assert row["neither is whole"] == 0, row
        assert row["damaged ones"] == 0, row
        assert row["the next save removes what is left"] == row["kills"], row
    assert control["neither is whole"] == 1
    assert sum(row["nothing can be read"] for row in tables["stock"]) > 0


def test_damage() -> None:
    tables = damage.main(["--flips", times(200), "--cuts", times(100), "--resumed", times(2), "--stock", times(50)])
    for row in tables["tfdl"]:
        assert row["found, and the checkpoint before taken"] == row["times"], row
        assert row["from the checkpoint before, to the same bits"] == row["runs resumed"], row
    assert sum(row["read without a message, other weights"] for row in tables["stock"]) > 0


def test_stops() -> None:
    rows = stops.main(["--moments", times(6), "--cases", CNN])
    check_campaign(rows, lost=0)
    assert {row["exit codes later"] for row in rows} <= {"75", "none"}


@pytest.mark.distributed
@needs_horovod
def test_stops_of_two_ranks_and_saves_that_take_too_long() -> None:
    check_campaign(stops.main(["--moments", times(2), "--ranks", "2", "--cases", CNN]), lost=0)
    slow = ["--moments", times(2), "--ranks", "2", "--cases", CNN, "--slow-saves"]
    check_campaign(stops.main(slow), lost=2 * 50)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root may mount a disk")
def test_a_full_disk() -> None:
    roomy, *small = full_disk.main([])
    assert roomy["exit code"] == 0
    assert roomy["messages"] == 0
    for row in small:
        assert row["messages"] > 0, row
        assert row["damaged or unfinished"] == 0, row
        assert row["resumed to the same bits"] == "yes", row


def test_goodput() -> None:
    """The control has checkpoints at the ends of epochs alone, which take longer than a process lives.

    On a machine with other work a step takes longer, and so do those that are lost with each kill.
    """
    short = ["--processes", times(3), "--seconds", "45"]
    (row,) = goodput.main(short)
    assert row["goodput"] > 0.75, row
    (control,) = goodput.main([*short, "--checkpoint-steps", "100000"])
    assert control["goodput"] < row["goodput"] - 0.1


def test_a_long_run() -> None:
    steps = times(10_000)
    (row,) = long_run.main(["--steps", steps])
    (leaking,) = long_run.main(["--steps", steps, "--leak", "500"])
    assert row["grown"] < 2_000_000 + 3 * row["error"], row
    assert leaking["grown"] > 4_000_000, leaking


def test_the_programs_are_documented() -> None:
    text = Path("docs/reliability.md").read_text(encoding="utf-8")
    for module in (damage, full_disk, goodput, kills, long_run, saves, stops):
        assert f"python -m {module.__name__}" in text
