"""Which differences between an export's answers and the model's are rounding."""

import numpy as np
import pytest

from tfdl.errors import RunError
from tfdl.export.differences import checked_difference

EXACT = np.array([0.5, 2.0, -40.0])


def answers_off_by(share):
    """Answers whose largest difference from ``EXACT`` is ``share``."""
    return {"one": {"logits": EXACT * (1 + np.array([0, share, -share]))}}


def never():
    raise AssertionError("the model was computed in float64 for a small difference")


def test_a_small_difference_needs_no_float64():
    found = checked_difference("the file", answers_off_by(0), answers_off_by(5e-5), never)
    assert found.largest == pytest.approx(5e-5)
    assert found.notes == ()


@pytest.mark.parametrize(("model_error", "file_error"), [(2e-3, 3.9e-3), (2e-3, -1e-4), (-4e-3, 7e-3), (0.049, 0.0)])
def test_what_rounding_explains_is_kept(model_error, file_error):
    found = checked_difference(
        "the file", answers_off_by(model_error), answers_off_by(file_error), lambda: answers_off_by(0)
    )
    assert found.largest == pytest.approx(abs(model_error - file_error), rel=0.1)
    (note,) = found.notes
    assert f"the file is off by {abs(file_error):.3g}, and the model in float32 by {abs(model_error):.3g}" in note


@pytest.mark.parametrize(
    ("model_error", "file_error"),
    [(2e-3, 4.1e-3), (1e-5, 2e-4), (0.0, 2e-4), (0.06, 0.06 + 2e-4), (float("nan"), 0.0), (2e-3, float("nan"))],
    ids=["twice", "small", "exact", "useless", "model-nan", "file-nan"],
)
def test_what_rounding_does_not_explain_is_refused(model_error, file_error):
    with pytest.raises(RunError, match=r"the file differs from the model by .*, expected at most 0\.0001.*; nothing"):
        checked_difference(
            "the file", answers_off_by(model_error), answers_off_by(file_error), lambda: answers_off_by(0)
        )


@pytest.mark.parametrize(("factor", "is_kept"), [(2.0, False), (4.0, True)])
def test_kernels_that_round_worse(factor, is_kept):
    arguments = ("the file", answers_off_by(2e-3), answers_off_by(7e-3), lambda: answers_off_by(0), factor)
    if is_kept:
        assert checked_difference(*arguments).notes
    else:
        with pytest.raises(RunError, match="the file differs from the model"):
            checked_difference(*arguments)


def test_another_class_is_no_rounding():
    expected, answers, exact = ({"one": {"class_id": np.array([number])}} for number in (1, 2, 1))
    with pytest.raises(RunError, match="the file differs from the model by inf, expected at most"):
        checked_difference("the file", expected, answers, lambda: exact)


def test_without_a_model_in_float64():
    with pytest.raises(RunError, match=r"by 0\.000?2, expected at most 0\.0001; nothing was written"):
        checked_difference("the file", answers_off_by(0), answers_off_by(2e-4))
