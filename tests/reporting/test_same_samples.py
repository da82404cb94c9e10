"""What identifies the samples that two models answered."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tfdl.config.dataset import DatasetConfig
from tfdl.reporting.measuring.language_parts import unigram_guess
from tfdl.reporting.measuring.measure import _choice_of_data


class Windows:
    """Windows of tokens, each of which begins with a token that is not predicted."""

    def __init__(self, *windows):
        self._windows = windows

    def evaluation_pieces(self, batch_size, world):  # noqa: ARG002
        yield np.arange(len(self._windows))

    def read(self, numbers):
        windows = [self._windows[number] for number in numbers.numpy()]
        longest = max(map(len, windows))
        tokens = [[0, *window, *[0] * (longest - len(window))] for window in windows]
        return {"tokens": np.array(tokens), "count": np.array([len(window) for window in windows])}


def test_tokens_are_identified_by_their_order_and_their_windows():
    guess, digest = unigram_guess(Windows([1, 2, 1], [3, 1]), 4, 8)
    assert guess.value == pytest.approx(np.exp(-0.6 * np.log(0.6) - 2 * 0.2 * np.log(0.2)))
    assert unigram_guess(Windows([1, 2, 1], [3, 1]), 4, 8) == (guess, digest)
    for other in (Windows([2, 1, 1], [3, 1]), Windows([1, 2], [1, 3, 1]), Windows([1, 2, 1, 3, 1])):
        same_guess, other_digest = unigram_guess(other, 4, 8)
        assert same_guess.value == pytest.approx(guess.value)
        assert other_digest != digest


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"image_size": (8, 8)}, True),
        ({"memory_limit_mb": 1}, True),
        ({"data_dir": "elsewhere"}, True),
        ({"name": "./photos"}, True),
        ({"name": "other"}, False),
        ({"label_column": "kind"}, False),
        ({"text_column": "body"}, False),
        ({"encoding": "cp1252"}, False),
        ({"stratified": True}, False),
        ({"exact_labels": True}, False),
        ({"skip_bad_rows": True}, False),
        ({"test_split": "test[:10]"}, False),
    ],
)
def test_fields_that_choose_the_data(tmp_path, monkeypatch, changes, is_same):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    dataset = DatasetConfig(name="photos")
    key = _choice_of_data(loaded(dataset), opened("cat", "dog"))
    assert (_choice_of_data(loaded(dataclasses.replace(dataset, **changes)), opened("cat", "dog")) == key) == is_same
    assert _choice_of_data(loaded(dataset), opened("dog", "cat")) != key


def loaded(dataset):
    return SimpleNamespace(config=SimpleNamespace(dataset=dataset))


def opened(*class_names):
    return SimpleNamespace(task=SimpleNamespace(class_names=class_names))
