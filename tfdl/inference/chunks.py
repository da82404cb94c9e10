"""Cuts a stream of inputs into chunks, and a chunk into batches. Both depend on the inputs alone, not on the ranks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfdl.inference.items import BadItem, Item

Chunk = list[Item | BadItem]
# Memory that the texts and file contents of a chunk take; a last item may exceed it.
_MOST_BYTES = 2**26


def chunks(items: Iterable[Item | BadItem], most_items: int) -> Iterator[Chunk]:
    """Consecutive items.

    Args:
        items: in order.
        most_items: of a chunk.
    """
    chunk: Chunk = []
    num_bytes = 0
    for item in items:
        chunk.append(item)
        num_bytes += item.num_bytes if isinstance(item, Item) else 0
        if len(chunk) >= most_items or num_bytes >= _MOST_BYTES:
            yield chunk
            chunk = []
            num_bytes = 0
    if chunk:
        yield chunk


def batches(chunk: Chunk, prediction: Any, batch_size: int) -> list[list[int]]:
    """The places in a chunk of the items that are computed together; bad items are left out.

    If the prediction limits the size of a batch, items of similar sizes make a batch. Otherwise consecutive items do.

    Args:
        chunk: the items.
        prediction: a ``Prediction``.
        batch_size: most items of a batch.
    """
    places = [place for place, item in enumerate(chunk) if isinstance(item, Item)]
    if prediction.most_size is None:
        return [list(batch) for batch in _pieces(places, batch_size)]
    sizes = {place: prediction.size(chunk[place].values) for place in places}  # type: ignore[union-attr]
    places.sort(key=sizes.__getitem__)
    found: list[list[int]] = []
    for place in places:
        has_room = bool(found) and len(found[-1]) < batch_size
        # The last one is the largest.
        if has_room and (len(found[-1]) + 1) * sizes[place] <= prediction.most_size:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _pieces(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (places[start : start + size] for start in range(0, len(places), size))
