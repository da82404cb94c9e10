"""A recurrent language model is evaluated with its state: as one long pass, and alike on any number of ranks."""

import itertools

import numpy as np
import pytest

import tfdl
from tfdl.data.tokenizers import CharacterTokenizer
from tfdl.data.tokens import windows
from tfdl.data.tokens.table import TokenColumn
from tfdl.distributed import SingleWorld
from tfdl.evaluation import evaluator_for
from tfdl.models import compute_precision
from tfdl.tasks import LanguageModeling

TASK = LanguageModeling(CharacterTokenizer("abcdefgh"), 7, carries_state=True)
TOKENS = np.random.default_rng(0).integers(4, 12, 500).astype(np.uint8)
SOURCE = TASK.windows(TokenColumn(TOKENS, np.array([0, 200, 500])))


@pytest.fixture(scope="module")
def model():
    with compute_precision("float64"):
        return tfdl.build_model("rnn", units=6, num_layers=2, dropout=0.5, init_scale=0.5, **TASK.model_arguments)


def long_pass(model, begin, end):
    """Loss of the stream's places from ``begin`` to ``end``, read at once."""
    stream = SOURCE._stream.read(np.arange(begin - 1, end))
    logits = np.asarray(model(stream[np.newaxis, :-1]))[0]
    shifted = logits - logits.max(1, keepdims=True)
    return (np.log(np.exp(shifted).sum(1)) - shifted[np.arange(end - begin), stream[1:]]).sum()


def test_a_small_split_is_one_long_pass(model):
    found = evaluator_for(model, TASK).metrics(SOURCE, SingleWorld())
    assert found["loss"] == pytest.approx(long_pass(model, 0, 502) / 502, rel=1e-12)
    assert found["bits_per_character"] == pytest.approx(found["loss"] / np.log(2))


def test_a_larger_one_is_a_pass_for_each_part(model, monkeypatch):
    """Of 72 windows five parts have 15, 15, 14, 14 and 14."""
    monkeypatch.setattr(windows, "_LEAST_SEGMENT_TOKENS", 100)
    found = evaluator_for(model, TASK).metrics(SOURCE, SingleWorld())
    cuts = [0, 105, 210, 308, 406, 502]
    parts = sum(long_pass(model, a, b) for a, b in itertools.pairwise(cuts))
    assert found["loss"] == pytest.approx(parts / 502, rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_get_the_very_numbers_of_one_process(model, ranks, monkeypatch, size):
    monkeypatch.setattr(windows, "_LEAST_SEGMENT_TOKENS", 50)
    monkeypatch.setattr(windows, "_SEGMENTS_TOGETHER", 3)  # ten parts in four groups
    alone = evaluator_for(model, TASK).metrics(SOURCE, SingleWorld())
    world = ranks(size)
    found = world.run(lambda _: evaluator_for(model, TASK).metrics(SOURCE, world))
    assert found == [alone] * size


def test_what_fits_the_memory_is_evaluated_together():
    assert LanguageModeling(TASK.tokenizer, 64).evaluation_batch_size == 256
    assert LanguageModeling(TASK.tokenizer, 2**20).evaluation_batch_size == 1
