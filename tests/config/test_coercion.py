"""Values from YAML and the command line become the annotated types, or an error that names key and type."""

import math
from typing import Literal

import numpy as np
import pytest

from tfdl.config import CNNConfig, TrainConfig
from tfdl.config.fields import convert, from_mapping
from tfdl.errors import UserError


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("1e-3", float, 0.001),  # YAML 1.1 reads 1e-3 as text
        (1, float, 1.0),
        (64.0, int, 64),
        (5, int | None, 5),
        (None, int | None, None),
        ([32, 64], tuple[int, ...], (32, 64)),
        ([24.0, 32], tuple[int, int], (24, 32)),
        ([24, 32], tuple[int, int] | None, (24, 32)),
        (True, bool, True),
        (np.int64(3), int, 3),
        (np.float32(0.5), float, 0.5),
        (True, Literal["off", "on", "auto"], "on"),  # YAML 1.1 reads on and off as booleans
        (False, Literal["off", "on", "auto"], "off"),
        ("first name, last name", tuple[str, ...], ("first name", "last name")),
        ([[1, 2], [3.0, 4]], tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
        (["a", "b"], tuple[Literal["a", "b"], ...], ("a", "b")),
        ([None, 2], tuple[int | None, ...], (None, 2)),
        (3, int | str, 3),
        ("half", int | str, "half"),
        ("half", float | Literal["half"], "half"),
        ({"a": 1}, dict[str, float], {"a": 1}),
    ],
)
def test_a_value_becomes_the_annotated_type(value, hint, expected):
    converted = convert(value, hint, "key")
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        ("many", int, "key='many', expected a whole number"),
        (1.5, int, "key=1.5, expected a whole number"),
        (True, int, "key=True, expected a whole number"),
        (math.inf, int, "key=inf, expected a whole number"),
        (None, int, "key=None, expected a whole number"),
        ("fast", float, "key='fast', expected a number"),
        (False, float, "key=False, expected a number"),
        ([1.0], float, "key=[1.0], expected a number"),
        (1, bool, "key=1, expected true or false"),
        ("yes", bool, "key='yes', expected true or false"),
        (7, str, "key=7, expected a text"),
        (32, tuple[int, ...], "key=32, expected a list of items, each a whole number, such as [32, 64]"),
        ("32", tuple[int, ...], "key='32', expected a list of items, each a whole number, such as [32, 64]"),
        ([32, "x"], tuple[int, ...], "key='x', expected a whole number"),
        ([24], tuple[int, int], "key=[24], expected a list of 2 items"),
        (24, tuple[int, int] | None, "key=24, expected a list of 2 items"),
        (True, Literal["a", "b"], "key=True, expected one of a, b."),
        (1, tuple[tuple[int, int], ...], "key=1, expected a list of items, each a list"),
        (["c"], tuple[Literal["a", "b"], ...], "key='c', expected one of a, b."),
        ([1.5], int | str, "key=[1.5], expected a whole number or a text"),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_expected(value, hint, message):
    with pytest.raises(UserError) as raised:
        convert(value, hint, "key")
    assert str(raised.value) == message


def test_one_of_several_words_is_answered_with_the_nearest():
    with pytest.raises(UserError) as raised:
        TrainConfig.from_mapping({"dataset": {"augmentation": "afine"}})
    assert str(raised.value) == (
        "unknown augmentation 'afine', expected one of affine, crop, flip, randaugment, erase, mixup, cutmix."
        " Did you mean 'affine'?"
    )


@pytest.mark.parametrize("value", ["flip,crop,flip", [{"name": "flip"}, "flip"]])
def test_an_augmentation_that_is_listed_twice(value):
    with pytest.raises(UserError, match=r"dataset\.augmentation lists 'flip' 2 times, expected it once"):
        TrainConfig.from_mapping({"dataset": {"augmentation": value}})


def test_an_unknown_key_is_answered_with_the_nearest():
    with pytest.raises(UserError) as raised:
        from_mapping(CNNConfig, {"unit": 3}, "model.")
    message = str(raised.value)
    assert message.startswith("unknown key 'model.unit', expected one of preset, filters, kernel_size, units, ")
    assert message.endswith(" Did you mean 'units'?")


def test_a_key_like_no_other_gets_no_suggestion():
    with pytest.raises(UserError, match="unknown key 'zzz'") as raised:
        TrainConfig.from_mapping({"zzz": 1})
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("fields", [{"epochs": "5"}, {"batch_size": 1.5}, {"seed": None}])
def test_the_constructor_checks_types_as_yaml_does(fields):
    with pytest.raises(UserError, match=next(iter(fields))):
        TrainConfig(**fields)
