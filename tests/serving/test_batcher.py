"""Requests that wait are computed together, and none suffers from another."""

import asyncio
import threading

import numpy as np
import pytest

from tfdl.serving.batcher import Batcher
from tfdl.serving.errors import RequestError
from tfdl.serving.signature import Signature, TensorInfo

DOUBLE = Signature(
    "double",
    {"x": TensorInfo("float32", (None, None)), "factor": TensorInfo("float32", ())},
    {"y": TensorInfo("float32", (None, None))},
)
WHOLE = Signature("whole", {"x": TensorInfo("float32", (None,))}, {"y": TensorInfo("float32", ())})


class Model:
    """Doubles rows. It waits until it is let go, and fails for rows with a negative number."""

    def __init__(self):
        self.calls = []
        self.has_begun = threading.Event()
        self.may_run = threading.Event()

    def __call__(self, name, arrays):
        self.has_begun.set()
        assert self.may_run.wait(30)
        self.calls.append(arrays["x"].tolist())
        if (arrays["x"] < 0).any():
            raise ValueError("negative")
        if name == "whole":
            return {"y": arrays["x"].sum()}
        return {"y": arrays["factor"] * arrays["x"]}


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def batcher(model):
    made = []

    def make(**changes):
        options = {"max_batch_size": 4, "timeout": 0.0, "num_threads": 1, "max_requests": 100, **changes}
        made.append(Batcher(model, on_call=lambda *_: None, **options))
        return made[-1]

    yield make
    model.may_run.set()
    for one in made:
        one.close()


def inputs(*rows, factor=2.0):
    return {"x": np.array(rows, np.float32), "factor": np.array(factor, np.float32)}


def answers(batcher, model, *requests, signature=DOUBLE):
    """Submits a request that holds the thread, then these, and returns their answers or errors."""

    async def run():
        first = batcher.submit(signature, inputs([0]) if signature is DOUBLE else {"x": np.zeros(1, np.float32)})
        await asyncio.to_thread(model.has_begun.wait, 30)
        futures = [batcher.submit(signature, request) for request in requests]
        model.may_run.set()
        await first
        return await asyncio.gather(*futures, return_exceptions=True)

    return [answer if isinstance(answer, Exception) else answer["y"].tolist() for answer in asyncio.run(run())]


def test_rows_of_several_requests_are_one_call(batcher, model):
    found = answers(batcher(), model, inputs([1]), inputs([2], [3]), inputs([4]))
    assert found == [[[2]], [[4], [6]], [[8]]]
    assert model.calls[-1] == [[1], [2], [3], [4]]


def test_a_call_takes_as_many_rows_as_it_may(batcher, model):
    assert answers(batcher(), model, inputs([1], [2], [3]), inputs([4], [5])) == [[[2], [4], [6]], [[8], [10]]]
    assert model.calls[1:] == [[[1], [2], [3]], [[4], [5]]]


def test_a_large_request_is_split(batcher, model):
    rows = [[value] for value in range(10)]
    assert answers(batcher(), model, inputs(*rows)) == [[[2 * value] for (value,) in rows]]
    assert [len(call) for call in model.calls[1:]] == [4, 4, 2]


def test_other_shapes_and_other_settings_are_other_calls(batcher, model):
    found = answers(batcher(), model, inputs([1]), inputs([1, 1]), inputs([1], factor=3.0), inputs([5]))
    assert found == [[[2]], [[2, 2]], [[3]], [[10]]]
    assert sorted(model.calls[1:]) == [[[1]], [[1], [5]], [[1, 1]]]


def test_a_bad_request_fails_alone(batcher, model):
    found = answers(batcher(), model, inputs([1]), inputs([-1]), inputs([3]))
    assert found[0] == [[2]]
    assert isinstance(found[1], ValueError)
    assert found[2] == [[6]]
    assert model.calls[1:] == [[[1], [-1], [3]], [[1]], [[-1]], [[3]]]


def test_a_part_that_fails_ends_its_request(batcher, model):
    good = [[value] for value in range(1, 8)]
    found = answers(batcher(), model, inputs([-1], *good), inputs([9]))
    assert isinstance(found[0], ValueError)
    assert found[1] == [[18]]


def test_parts_whose_answers_do_not_fit_together(model):
    def call(name, arrays):  # noqa: ARG001
        return {"y": np.zeros((len(arrays["x"]), int(arrays["x"].sum())))}

    one = Batcher(call, max_batch_size=1, timeout=0, num_threads=1, max_requests=9, on_call=lambda *_: None)
    model.has_begun.set()
    found = answers(one, model, inputs([1], [2]), inputs([3]))
    assert isinstance(found[0], RequestError)
    assert found[1] == [[0, 0, 0]]
    one.close()


def test_outputs_without_rows_are_never_joined(batcher, model):
    requests = [{"x": np.array([1, 2], np.float32)}, {"x": np.array([3], np.float32)}]
    assert answers(batcher(), model, *requests, signature=WHOLE) == [3, 3]
    assert model.calls[1:] == [[1, 2], [3]]


def test_a_cancelled_request_is_not_computed(batcher, model):
    async def run():
        one = batcher()
        first = one.submit(DOUBLE, inputs([0]))
        await asyncio.to_thread(model.has_begun.wait, 30)
        second = one.submit(DOUBLE, inputs([1]))
        second.cancel()
        model.may_run.set()
        await first
        await one.submit(DOUBLE, inputs([2]))
        return one.num_requests

    assert asyncio.run(run()) == 0
    assert model.calls == [[[0]], [[2]]]


def test_too_many_requests(batcher, model):
    async def run():
        one = batcher(max_requests=2)
        futures = [one.submit(DOUBLE, inputs([1]))]
        await asyncio.to_thread(model.has_begun.wait, 30)
        futures.append(one.submit(DOUBLE, inputs([2])))
        with pytest.raises(RequestError, match="2 requests wait already") as raised:
            one.submit(DOUBLE, inputs([3]))
        assert (raised.value.status, raised.value.retry_after) == (503, 1)
        model.may_run.set()
        await asyncio.gather(*futures)
        return await one.submit(DOUBLE, inputs([3]))

    assert asyncio.run(run())["y"].tolist() == [[6]]


def test_a_batch_that_is_full_does_not_wait(batcher, model):
    """With a timeout far above the test's patience."""
    model.may_run.set()

    async def run():
        one = batcher(timeout=1000.0)
        return await asyncio.gather(*(one.submit(DOUBLE, inputs([number])) for number in range(4)))

    found = asyncio.run(run())
    assert [answer["y"].tolist() for answer in found] == [[[0]], [[2]], [[4]], [[6]]]
    assert model.calls == [[[0], [1], [2], [3]]]


def test_a_batch_waits_for_its_time(batcher, model):
    model.may_run.set()

    async def run():
        return await batcher(timeout=0.01).submit(DOUBLE, inputs([1]))

    assert asyncio.run(run())["y"].tolist() == [[2]]


def test_several_threads():
    """Two calls run at the same time: each waits for the other."""
    both = threading.Barrier(2, timeout=30)

    def call(name, arrays):  # noqa: ARG001
        both.wait()
        return {"y": arrays["x"]}

    one = Batcher(call, max_batch_size=1, timeout=0, num_threads=2, max_requests=9, on_call=lambda *_: None)

    async def run():
        return await asyncio.gather(one.submit(DOUBLE, inputs([1])), one.submit(DOUBLE, inputs([2])))

    assert [answer["y"].tolist() for answer in asyncio.run(run())] == [[[1]], [[2]]]
    one.close()


def test_a_part_that_fails_while_another_thread_computes_the_last_one():
    """The failed part is settled first, and its thread goes on with a neighbour before it reports the error."""
    has_failed = threading.Event()

    def call(name, arrays):  # noqa: ARG001
        rows = arrays["x"][:, 0].tolist()
        if rows == [1, 1]:
            assert has_failed.wait(30)
        if rows == [7]:
            has_failed.set()
            assert is_answered.wait(30)
        if 2 in rows:
            raise ValueError("bad row")
        return {"y": arrays["x"]}

    is_answered = threading.Event()
    one = Batcher(call, max_batch_size=2, timeout=30, num_threads=2, max_requests=9, on_call=lambda *_: None)

    async def run():
        first = one.submit(DOUBLE, inputs([1], [1], [2]))
        neighbour = one.submit(DOUBLE, inputs([7]))
        with pytest.raises(ValueError, match="bad row"):
            await first
        is_answered.set()
        return await neighbour

    assert asyncio.run(run())["y"].tolist() == [[7]]
    one.close()
