"""Problems of single ranks are reported by rank 0, which prints for all ranks."""

import json
from dataclasses import replace

import pytest

from tfdl.cli.doctor import _bytes
from tfdl.diagnosis import Diagnosis, Finding, MessageTiming
from tfdl.diagnosis.ranks import merge_findings

OK = Finding("tensorflow", "ok", "2.21.0")
NAME = Finding("host name", "warning", "vm resolves to 127.0.0.1")
FULL = Finding("working directory", "error", "cannot be written", "go elsewhere")


def test_rank_0_reports_what_is_wrong_on_other_ranks(ranks):
    world = ranks(3)
    # Each rank's own findings. Rank 1 has another TensorFlow, and a warning that rank 0 has, too.
    findings = [[OK, NAME], [replace(OK, found="2.21.1"), NAME, FULL], [OK]]
    merged = world.run(lambda rank: merge_findings(list(findings[rank]), world))
    expected = [OK, NAME, replace(FULL, subject="rank 1: working directory")]
    assert merged == [expected, expected, expected]


def test_one_error_makes_the_machine_unfit():
    assert Diagnosis([OK, NAME]).is_fit
    assert not Diagnosis([OK, FULL]).is_fit


def test_a_diagnosis_is_plain_json():
    timing = MessageTiming(size=4_000_000, repeats=3, median_seconds=0.02, fastest_seconds=0.01)
    mapping = json.loads(json.dumps(Diagnosis([FULL], [timing]).to_mapping()))
    assert mapping["fit"] is False
    assert mapping["findings"] == [
        {"subject": "working directory", "level": "error", "found": "cannot be written", "mend": "go elsewhere"}
    ]
    assert mapping["all_reduce"][0]["bytes_per_second"] == pytest.approx(2e8)


@pytest.mark.parametrize(
    ("number", "text"),
    [(4, "4 B"), (4000, "4 kB"), (400_000, "400 kB"), (57_432_111, "57.4 MB"), (999_600, "1 MB"), (2.5e9, "2.5 GB")],
)
def test_bytes_are_shown_in_three_digits(number, text):
    assert _bytes(number) == text
