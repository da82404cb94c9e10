"""Answers a stream of inputs, in their order, on any number of ranks."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.files.bad_rows import what_is_bad
from tfdl.distributed import World, current_world
from tfdl.distributed.object_collectives import portable_error
from tfdl.distributed.watchdog.current import tick
from tfdl.errors import UserError, mark_agreed
from tfdl.inference.chunks import Chunk, batches, chunks
from tfdl.inference.items import BadItem, Item
from tfdl.tasks.prediction import Prediction, Prepared, Record

Loader = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From an item's values to raw inputs in memory, such as from a path to pixels."""
Compute = Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]
"""From a batch to the model's outputs."""
# Batches of a chunk. The ranks exchange answers after each chunk.
_BATCHES_IN_CHUNK = 16
# Several threads load inputs that take longer than this, in seconds, such as photos. What takes less is mostly Python
# code, of which one thread runs at a time: several would only hold up each other, and the thread that calls the model.
_LONG = 0.001
# Bad inputs that an error message names.
_SHOWN = 3


def compiled(model: Any, prediction: Prediction) -> Compute:
    """The model's step as a graph, which is traced when it is first called.

    Args:
        model: the trained model.
        prediction: the task's steps.
    """

    def compute(batch: Mapping[str, Any]) -> dict[str, Any]:
        return prediction.compute(model, batch)

    graph = tf.function(compute, input_signature=[prediction.signature], autograph=False)
    return lambda batch: graph({name: tf.constant(value) for name, value in batch.items()})


@dataclass(frozen=True)
class _Batch:
    """Items that are computed together, and their places in a chunk."""

    places: list[int]
    items: list[Item]


class Predictor:
    """Answers inputs in their order.

    The stream is cut into chunks, and each chunk into batches. The ranks divide a chunk's batches, and gather the
    answers at its end. Batches do not depend on the number of ranks, so neither do the answers. Inputs are read and
    prepared by threads, while the model computes the batches before them. Memory does not grow with the stream.

    Args:
        prediction: the task's steps.
        compute: the model's step, from ``compiled``.
        load: reads the values of an item.
        batch_size: most samples that are computed together. Defaults to the task's own number.
        on_bad: called with each input that cannot be used, which is then left out. By default they are an error.
        way_out: how to leave bad inputs out, for that error's message.
        at_once: whether each input is answered before the next one is read, as a person at a terminal expects.
        world: the ranks that share the work. Defaults to the current ones.
    """

    def __init__(
        self,
        prediction: Prediction,
        compute: Compute,
        load: Loader = dict,
        *,
        batch_size: int | None = None,
        on_bad: Callable[[BadItem], object] | None = None,
        way_out: str = "",
        at_once: bool = False,
        world: World | None = None,
    ):
        self._prediction = prediction
        self._compute = compute
        self._load = load
        self._batch_size = batch_size or prediction.batch_size
        self._on_bad = on_bad
        self._way_out = way_out
        self._at_once = at_once
        self._world = world or current_world()
        self._num_threads = len(os.sched_getaffinity(0))
        self._seconds_of_item = 0.0
        self.num_answers = 0
        self.num_bad = 0

    def answers(self, items: Iterable[Item | BadItem]) -> Iterator[tuple[Item, Record]]:
        """The items with their answers, on every rank.

        Args:
            items: the inputs, the same ones on all ranks.

        Raises:
            UserError: an input that cannot be used, unless they are skipped; or the ranks have different inputs.
        """
        for chunk, answered in self._answered_chunks(items):
            self._count_bad(chunk, answered)
            for place, item in enumerate(chunk):
                record = answered.get(place)
                if isinstance(item, Item) and isinstance(record, dict):
                    self.num_answers += 1
                    yield item, record

    @property
    def notes(self) -> list[str]:
        """What was left out or cut, as lines to show at the end. All ranks must ask for it."""
        num_cut = sum(self._world.all_gather_object(self._prediction.num_cut))
        notes = []
        if self.num_bad:
            noun = "bad input" if self.num_bad == 1 else "bad inputs"
            notes.append(f"{self.num_bad:,} {noun} left out")
        if num_cut:
            noun = "text" if num_cut == 1 else "texts"
            notes.append(f"{num_cut:,} {noun} of more than {self._prediction.longest} tokens cut")
        return notes

    def _answered_chunks(self, items: Iterable[Item | BadItem]) -> Iterator[tuple[Chunk, dict[int, Any]]]:
        """Each chunk with the record or the error of each place, of all ranks."""
        own: dict[int, Any] = {}
        work = self._own_work(items)
        with ThreadPoolExecutor(1) as one_thread, ThreadPoolExecutor(self._num_threads) as threads:

            def submit(batch: _Batch) -> Future[Any]:
                pool = threads if self._seconds_of_item > _LONG else one_thread
                return pool.submit(self._loaded, batch)

            loaded = _ahead(work, submit, 0 if self._at_once else self._num_threads + 1)
            while True:
                error = None
                chunk: Chunk | None = None
                try:
                    for part in loaded:
                        if not isinstance(part, Future):
                            chunk = part
                            break
                        own.update(self._answered(*part.result()))
                        tick()
                except Exception as caught:
                    error = caught
                answered = self._gathered(chunk, own, error)
                if chunk is None:
                    return
                own = {}
                yield chunk, answered

    def _own_work(self, items: Iterable[Item | BadItem]) -> Iterator[_Batch | Chunk]:
        """The batches of this rank, and each chunk after its batches."""
        most_items = 1 if self._at_once else _BATCHES_IN_CHUNK * self._batch_size
        for chunk in chunks(items, most_items):
            all_batches = batches(chunk, self._prediction, self._batch_size)
            for places in all_batches[self._world.rank :: self._world.size]:
                yield _Batch(places, [chunk[place] for place in places])  # type: ignore[misc]
            yield chunk

    def _loaded(self, batch: _Batch) -> tuple[dict[int, Prepared], dict[int, BadItem]]:
        """Place -> what was prepared, and place -> what is wrong; in a thread."""
        prepared = {}
        bad = {}
        start = time.perf_counter()
        for place, item in zip(batch.places, batch.items, strict=True):
            try:
                prepared[place] = self._prediction.prepare(self._load(item.values))
            except (ValueError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                bad[place] = BadItem(item.name, reason)
        self._seconds_of_item = (time.perf_counter() - start) / len(batch.items)
        return prepared, bad

    def _answered(self, prepared: dict[int, Prepared], bad: dict[int, BadItem]) -> dict[int, Any]:
        """Place -> record or error."""
        answered: dict[int, Any] = dict(bad)
        if prepared:
            batch = self._prediction.stack(list(prepared.values()))
            outputs = self._compute(batch)
            records = self._prediction.records({name: value.numpy() for name, value in outputs.items()})
            answered.update(zip(prepared, records, strict=True))
        return answered

    def _gathered(self, chunk: Chunk | None, own: dict[int, Any], error: Exception | None) -> dict[int, Any]:
        """The answers of all ranks; the lowest failing rank's error on all ranks, if there is one."""
        if self._world.size == 1:
            if error is not None:
                raise error
            return own
        names = None if chunk is None else [item.name for item in chunk]
        digest = hashlib.sha256(repr(names).encode("utf-8", "surrogateescape")).hexdigest()
        gathered = self._world.all_gather_object((portable_error(error), digest, own))
        for rank_error, _, _ in gathered:
            if rank_error is not None:
                mark_agreed(rank_error)
                raise rank_error
        for rank, (_, rank_digest, _) in enumerate(gathered):
            if rank_digest != digest:
                different = UserError(
                    f"rank {rank} and rank {self._world.rank} have different inputs, expected the same files on every"
                    " rank; put them into a folder that all hosts share"
                )
                mark_agreed(different)
                raise different
        return {place: answer for _, _, answers in gathered for place, answer in answers.items()}

    def _count_bad(self, chunk: Chunk, answered: Mapping[int, Any]) -> None:
        """Counts the bad inputs of a chunk, or raises an error that names them."""
        found = [answered.get(place, item) for place, item in enumerate(chunk)]
        bad = [item for item in found if isinstance(item, BadItem)]
        self.num_bad += len(bad)
        if self._on_bad is not None:
            for item in bad:
                self._on_bad(item)
        elif bad:
            named = bad[:_SHOWN]
            error = UserError(what_is_bad(named, len(bad), len(bad) - len(named), "input", self._way_out))
            if self._world.size > 1:
                mark_agreed(error)
            raise error


def _ahead(work: Iterable[Any], submit: Callable[[Any], Any], count: int) -> Iterator[Any]:
    """Futures of loaded batches, in order; some are loaded while earlier ones are used. Chunks pass through.

    Args:
        work: batches and chunks.
        submit: begins to load a batch.
        count: batches and chunks that are taken ahead.
    """
    queue: deque[Any] = deque()
    for part in work:
        queue.append(submit(part) if isinstance(part, _Batch) else part)
        if len(queue) > count:
            yield queue.popleft()
    yield from queue
