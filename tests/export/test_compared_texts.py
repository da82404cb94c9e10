"""The texts on which an export and its model are compared: one of them is as long as the model allows."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.export.small_models import BYTES
from tfdl.export.compared_texts import fewer_rows, length_notes
from tfdl.export.keras import task_model
from tfdl.export.litert.functions import LanguageFunction, TextFunction
from tfdl.export.number_signature import number_signature
from tfdl.tasks import LanguageModeling, TextClassification, Translation

GPT2_VOCABULARY = 50_257


def language_task(sequence_length, vocab_size):
    tokenizer = SimpleNamespace(vocab_size=vocab_size, start_id=1, end_id=2, name="many")
    return LanguageModeling(tokenizer, sequence_length)


def token_shapes(samples):
    return [next(iter(arrays.values())).shape for arrays in samples.values()]


@pytest.mark.parametrize(
    ("vocab_size", "longest", "several"), [(259, 1024, (63, 1024)), (GPT2_VOCABULARY, 1024, (4, 83))]
)
def test_the_longest_text(vocab_size, longest, several):
    signature = number_signature(language_task(1024, vocab_size))
    short, long, batch = token_shapes(signature.samples)
    assert (short, long) == ((1, 1), (1, longest))
    assert batch[0] == several[0]
    assert batch[1] == pytest.approx(several[1], rel=0.3)
    assert batch[1] <= several[1]
    assert signature.notes == ()


@pytest.mark.parametrize("one_row", [False, True])
def test_the_longest_text_in_litert(one_row):
    function = LanguageFunction(None, language_task(1024, GPT2_VOCABULARY))
    shapes = token_shapes(function.samples(one_row=one_row))
    assert shapes[0] == (1, 1024)
    assert shapes[1:] == ([(1, 333), (1, 204), (1, 146), (1, 113), (1, 93), (1, 78), (1, 68)] if one_row else
                          [(16, 20), (5, 66)])  # fmt: skip
    assert function.notes == ()


def test_a_text_whose_logits_need_too_much_memory():
    task = language_task(8192, 128_256)
    note = (
        "answers were compared on texts of at most 523 tokens, though the model reads 8,192: more logits would take"
        " more than 256 MiB"
    )
    signature = number_signature(task)
    assert token_shapes(signature.samples)[1] == (1, 523)
    function = LanguageFunction(None, task)
    assert token_shapes(function.samples(one_row=False))[0] == (1, 523)
    assert signature.notes == function.notes == (note,)


def test_a_text_of_classifiers():
    """Without padding, and longer than the model reads where the file cuts it."""
    task = TextClassification(BYTES, ("no", "yes"), 12)
    assert np.count_nonzero(number_signature(task).samples["long"]["token_ids"]) == 14
    first = next(iter(TextFunction(None, task).samples(one_row=False).values()))
    assert np.count_nonzero(first["token_ids"]) == 12


def test_translations_return_logits_in_keras(monkeypatch):
    tokens = np.ones((63, 128), np.int32)
    assert fewer_rows(tokens, 8_000).shape == (63, 128)
    assert fewer_rows(tokens, 32_000).shape == (16, 128)
    assert fewer_rows(tokens, 2**20).shape == (1, 64)
    task = Translation(BYTES, 128)
    monkeypatch.setattr(task_model, "fewer_rows", lambda tokens, vocab_size: tokens[: vocab_size // 100])
    samples = task_model._token_samples({"source": tokens}, task)
    assert {name: array.shape for name, array in samples.items()} == {"source": (2, 128), "target": (2, 128)}
    assert task_model._notes(task) == length_notes(128, 259) == ()
