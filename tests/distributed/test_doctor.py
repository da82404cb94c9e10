"""``horovodrun -np 2 tfdl doctor``: the proof, its control, and messages between the ranks."""

import json
import re

import pytest

from tests.distributed.launching import Finished, launch, program

pytestmark = [pytest.mark.distributed, pytest.mark.slow]


@pytest.fixture(scope="module")
def job() -> Finished:
    return launch(2, *program("doctor"))


def test_the_ranks_are_reported_and_proven(job: Finished) -> None:
    assert job.code == 0, job.output
    lines = job.lines_of(0)[1:]
    findings = {}
    for line in lines:
        if line.startswith(("ok  ", "warn", "FAIL")):
            subject, *_ = line[6:].split("  ")
            findings[subject] = line
    assert findings["ranks"].split()[2] == "2:"
    assert re.search(r"transport +Gloo$", findings["transport"])
    assert re.search(r"^ok .* all \d+ variables are bit-identical on all ranks$", findings["sync proof"])
    control = r"^ok .* made alone is found: rank 1 differs from rank 0 in conv_1/kernel"
    assert re.search(control, findings["its control"])


def test_a_slow_rank_is_named_with_what_it_costs(job: Finished) -> None:
    """The control is the doctor itself, in which the ranks have the same work: it names no such factor."""
    (finding,) = json.loads(job.lines_of(0)[0])["rank 1 is slow"]
    assert finding["level"] == "warning"
    slow = re.match(
        r"rank 1 on \S+ takes (\d+\.\d) times as long as others \(.* ms\): every step waits", finding["found"]
    )
    assert slow
    assert float(slow[1]) > 2.5
    (line,) = [line for line in job.lines_of(0)[1:] if line[6:].startswith("compute ")]
    factor = re.search(r"(\d+\.\d+) times", line)
    assert factor
    assert float(factor[1]) < 2.5


def test_messages_of_every_size_are_timed(job: Finished) -> None:
    table = [line for line in job.lines_of(0) if line.startswith("│")]
    rows = [re.findall(r"[\d.]+ [kM]?B?(?:ms)?(?:/s)?", line) for line in table]
    assert [row[0] for row in rows] == ["4 B", "4 kB", "400 kB", "4 MB", "32 MB"]
    assert all(len(row) == 4 for row in rows), rows


def test_only_rank_0_prints(job: Finished) -> None:
    assert job.lines_of(1) == []
    assert [line for line in job.lines_of(1, "stderr") if line.startswith("tfdl")] == []


def test_ranks_that_train_alone_fail_the_proof(job: Finished) -> None:
    (finding,) = json.loads(job.lines_of(0)[0])["every rank trains alone"]
    assert finding["level"] == "error"
    assert "rank 1 differs from rank 0 in conv_1/kernel" in finding["found"]


def test_a_comparison_that_finds_nothing_fails_the_control(job: Finished) -> None:
    proof, control = json.loads(job.lines_of(0)[0])["the comparison is blind"]
    assert proof["level"] == "ok"
    assert control["level"] == "error"
    assert "rank 1 made a step alone, and the comparison says: equal" in control["found"]
