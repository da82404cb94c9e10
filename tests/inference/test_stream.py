"""Inputs are taken as they are needed, and bad ones are named or left out."""

import numpy as np
import pytest

from tfdl.errors import UserError
from tfdl.inference.chunks import batches, chunks
from tfdl.inference.items import BadItem, Item
from tfdl.inference.predictor import Predictor, compiled


def predictor(setting, **options):
    task, model = setting
    prediction = task.prediction()
    return Predictor(prediction, compiled(model, prediction), **options)


def counted(items, taken):
    for item in items:
        taken.append(item)
        yield item


def texts(count):
    return [Item(f"line {number}", {"text": "word " * (number % 7 + 1)}) for number in range(count)]


def test_a_long_stream_is_not_read_far_ahead(reviews):
    taken = []
    stream = predictor(reviews, batch_size=2).answers(counted(texts(1000), taken))
    first = next(stream)
    assert first[0].name == "line 0"
    # Chunks of 16 batches: the first one, and what the threads take ahead.
    assert len(taken) <= 4 * 16 * 2
    stream.close()


def test_what_is_typed_is_answered_at_once(reviews):
    taken = []
    for count, _ in enumerate(predictor(reviews, at_once=True).answers(counted(texts(5), taken)), 1):
        assert len(taken) == count


def test_answers_come_in_the_order_of_the_inputs(reviews):
    names = [item.name for item, _ in predictor(reviews, batch_size=3).answers(texts(200))]
    assert names == [f"line {number}" for number in range(200)]


def test_bad_inputs_are_left_out_and_counted(reviews):
    good = texts(3)
    mixed = [good[0], BadItem("line 7", "empty"), good[1], BadItem("line 9", "not UTF-8"), good[2]]
    named = []
    skipping = predictor(reviews, on_bad=named.append)
    assert [item for item, _ in skipping.answers(mixed)] == good
    assert skipping.notes == ["2 bad inputs left out"]
    assert [str(item) for item in named] == ["line 7: empty", "line 9: not UTF-8"]
    assert skipping.num_answers == 3


def test_bad_inputs_are_an_error_by_default(reviews):
    bad = [BadItem(f"line {number}", "empty", "write a word") for number in range(5)]
    message = r"5 bad inputs: line 0: empty; line 1: empty; line 2: empty; and 2 more\. Fix them; write a word$"
    with pytest.raises(UserError, match=message):
        list(predictor(reviews).answers(bad))


def test_cut_texts_are_reported(reviews):
    short_and_long = [Item("", {"text": "word"}), Item("", {"text": "a long text of many bytes"})]
    found = predictor(reviews)
    list(found.answers(short_and_long))
    assert found.notes == ["1 text of more than 15 tokens cut"]


def test_no_inputs(reviews):
    assert list(predictor(reviews).answers([])) == []


def test_a_program_s_error_is_not_taken_for_a_bad_input(reviews):
    def load(_):
        raise TypeError("a mistake in the program")

    with pytest.raises(TypeError, match=r"a mistake"):
        list(predictor(reviews, load=load, on_bad=print).answers(texts(1)))


def test_chunks_are_limited_in_items_and_bytes(monkeypatch):
    monkeypatch.setattr("tfdl.inference.chunks._MOST_BYTES", 100)
    assert Item("", {"x": np.zeros((3, 4), np.float32)}).num_bytes == 48
    sizes = [10, 10, 90, 10, 10, 10, 10]
    items = [Item("", {"image": b"x" * size}) for size in sizes]
    found = [[item.num_bytes for item in chunk] for chunk in chunks(items, 3)]
    assert found == [[10, 10, 90], [10, 10, 10], [10]]
    assert [len(chunk) for chunk in chunks([Item("", {"image": b"x" * 60})] * 5, 9)] == [2, 2, 1]


def test_texts_of_similar_lengths_make_a_batch_of_limited_size(reviews):
    lengths = [3, 14, 4, 15, 2, 13]
    chunk = [Item("", {"text": "x" * length}) for length in lengths]
    chunk.insert(2, BadItem("", "empty"))
    prediction = reviews[0].prediction()
    prediction.most_size = 3 * 16
    found = batches(chunk, prediction, 4)
    assert sorted(place for batch in found for place in batch) == [0, 1, 3, 4, 5, 6]
    sizes = [[prediction.size(chunk[place].values) for place in batch] for batch in found]
    assert all(max(batch) * len(batch) <= 3 * 16 or len(batch) == 1 for batch in sizes)
    assert np.all(np.diff([max(batch) for batch in sizes]) >= 0)
    assert max(map(len, found)) <= 4
